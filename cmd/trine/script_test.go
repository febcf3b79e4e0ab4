package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite what the scripts compare with by what they got")

// TestScripts runs the transcripts in testdata/script: a server of their own,
// commands, and what they print. Beside testscript's commands there are
//
//	serve [ARG…]  serve the directory "data", and point TRINE_SERVER at it
//	quit          end the server as an operator would
//	crash         end it as a crash would
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": scriptServe, "quit": scriptQuit, "crash": scriptCrash,
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", os.Getenv("GORACE"))
			env.Values[serverKey{}] = new(*process)
			env.Defer(func() {
				if p := *env.Values[serverKey{}].(**process); p != nil {
					p.kill()
				}
			})
			return nil
		},
	})
}

type serverKey struct{}

func scriptServer(ts *testscript.TestScript) **process { return ts.Value(serverKey{}).(**process) }

func scriptServe(ts *testscript.TestScript, _ bool, args []string) {
	p, err := startProcess(ts.MkAbs("data"), args...)
	ts.Check(err)
	*scriptServer(ts) = p
	ts.Setenv("TRINE_SERVER", p.url)
}

func scriptQuit(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check((*scriptServer(ts)).stop())
}

func scriptCrash(ts *testscript.TestScript, _ bool, _ []string) { (*scriptServer(ts)).kill() }

// command is a process that has what the test has in its environment.
func command(args ...string) *exec.Cmd {
	cmd := exec.Command("trine", args...)
	cmd.Env = os.Environ()
	return cmd
}
