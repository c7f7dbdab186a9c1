package hammer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// A process is one worker that can be killed.
type process struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.Closer // when it ends, the worker ends: none outlives this program
	stderr strings.Builder
	done   chan struct{}
	say    map[string]bool // id: committed or rolled back
}

func startProcess(cmd *exec.Cmd, name string, job []byte) (*process, error) {
	p := &process{name: name, cmd: cmd, done: make(chan struct{}), say: map[string]bool{}}
	cmd.Stderr = &p.stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("hammer: %w", err)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("hammer: %w", err)
	}
	p.stdin = stdin
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("hammer: start a process: %w", err)
	}
	go func() {
		defer close(p.done)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			// A line that the kill cut short is none: the id may not be whole.
			if sign, id, ok := strings.Cut(strings.TrimSuffix(lines.Text(), ";"), " "); ok && strings.HasSuffix(lines.Text(), ";") {
				p.say[id] = sign == "+"
			}
		}
	}()
	// A process that died at once does not take its job; kill tells why.
	_, _ = stdin.Write(append(job, '\n'))
	return p, nil
}

// kill ends the process without a chance to say goodbye.
func (p *process) kill() error {
	_ = p.cmd.Process.Kill() // one that is dead already is told below
	<-p.done
	err := p.cmd.Wait()
	_ = p.stdin.Close()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == -1 {
		return nil
	}
	return fmt.Errorf("hammer: process %s ended by itself: %s", p.name, strings.TrimSpace(p.stderr.String()))
}
