package masking
import ("testing";"os";"bufio";"fmt";"github.com/confide-go/confide/masking/internal/detect")
func TestFindTmp(t *testing.T){ f,_:=os.Open("/tmp/in.txt"); sc:=bufio.NewScanner(f); for sc.Scan(){ s:=sc.Text(); fmt.Println(s); for _,x:=range detect.Append(nil,s){ fmt.Printf("    %s %q %v\n",found[x.Kind],s[x.Start:x.End],x.Rule)}}}
