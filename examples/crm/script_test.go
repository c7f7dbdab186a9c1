package main

import (
	"flag"
	"os"
	"runtime/debug"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

// TestMain lets the test binary be the program: a script's `exec crm …` runs
// main in a process of its own.
//
// The scripts wait for processes and for the disk much of the time, so more of them run
// at once than there are processors.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)                                // there is memory, and two processors
	if err := flag.Set("test.parallel", "6"); err != nil { // a -parallel of the command line counts more: it is parsed later
		panic(err)
	}
	testscript.Main(m, map[string]func(){
		"crm": func() { os.Exit(process()) },
	})
}

// TestScripts runs every script in testdata: the program as a person would use
// it, and as an attacker would.
func TestScripts(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	require.NoError(t, err)
	seeded := &seed{dir: t.TempDir()}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			for _, f := range []string{"customers", "employees", "invoices"} {
				data, err := os.ReadFile("demo/" + f + ".csv")
				if err != nil {
					return err
				}
				if err := os.WriteFile(e.WorkDir+"/"+f+".csv", data, 0o600); err != nil {
					return err
				}
			}
			e.Values[visitorsKey{}], e.Values[seedKey{}] = visitors{}, seeded
			e.Vars = append(e.Vars, "CONFIDE_DATA=data", "CONFIDE_SCHEDULE=off", "HERE="+here)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"serve":  serveCmd,
			"halt":   haltCmd,
			"signin": signinCmd,
			"get":    getCmd,
			"post":   postCmd,
			"sql":    sqlCmd,
			"holds":  holdsCmd,
			"flip":   flipCmd,
			"killed": killedCmd,

			"unpack":    unpackCmd,
			"seeded":    seededCmd,
			"passwords": passwordsCmd,
			"copydir":   copydirCmd,
			"attacked":  attackedCmd,
			"counts":    countsCmd,
			"lines":     linesCmd,
			"make":      makeCmd,
			"private":   privateCmd,
			"visitor":   visitorCmd,
			"none":      noneCmd,
			"upload":    uploadCmd,
			"download":  downloadCmd,
			"normal":    normalCmd,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}
