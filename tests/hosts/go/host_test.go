// The library inside Go, by cgo.
package host

import (
	"encoding/json"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	guest  = os.Getenv("EXTISM_GUEST")
	vowels = os.Getenv("EXTISM_PLUGIN")
)

var traps = map[string]string{
	"unreachable": "unreachable",
	"outside":     "out of bounds",
	"divide":      "divide by zero",
	"recurse":     "call stack exhausted",
}

func newPlugin(t *testing.T, path string, timeout int) *Plugin {
	manifest := map[string]interface{}{"wasm": []map[string]string{{"path": path}}}
	if timeout > 0 {
		manifest["timeout_ms"] = timeout
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	plugin, problem := New(text)
	if problem != "" {
		t.Fatal(problem)
	}
	return plugin
}

// Signals requested before the library installs handlers of its own, with the first plugin.
var before = make(chan os.Signal, 1)

func TestMain(m *testing.M) {
	signal.Notify(before, syscall.SIGHUP)
	os.Exit(m.Run())
}

func allIsWell(t *testing.T, plugin *Plugin) {
	for name, text := range traps {
		if code := plugin.Call(name, nil); code != -1 || !strings.Contains(plugin.Error(), text) {
			t.Errorf("%s: %d, %s", name, code, plugin.Error())
		}
		if code := plugin.Call("fine", nil); code != 7 {
			t.Errorf("%d after %s", code, name)
		}
	}
}

func TestAnswers(t *testing.T) {
	if !strings.HasPrefix(Version(), "0.1.") {
		t.Error(Version())
	}
	plugin := newPlugin(t, vowels, 0)
	defer plugin.Free()
	if code := plugin.Call("count_vowels", []byte("hello world")); code != 0 {
		t.Fatal(code, plugin.Error())
	}
	var answer struct{ Count int }
	if err := json.Unmarshal(plugin.Output(), &answer); err != nil || answer.Count != 3 {
		t.Fatal(answer, err)
	}
}

func TestTraps(t *testing.T) {
	plugin := newPlugin(t, guest, 0)
	defer plugin.Free()
	allIsWell(t, plugin)
}

func TestTimeout(t *testing.T) {
	plugin := newPlugin(t, guest, 50)
	defer plugin.Free()
	start := time.Now()
	code := plugin.Call("forever", nil)
	took := time.Since(start)
	if code != -1 || !strings.Contains(plugin.Error(), "timeout") {
		t.Error(code, plugin.Error())
	}
	if took < 50*time.Millisecond || took > 5*time.Second {
		t.Error(took)
	}
	allIsWell(t, plugin)
}

func TestCancel(t *testing.T) {
	plugin := newPlugin(t, guest, 0)
	defer plugin.Free()
	handle := plugin.CancelHandle()
	defer handle.Free()
	cancelled := make(chan bool)
	go func() {
		for !handle.Cancel() {
			time.Sleep(time.Millisecond)
		}
		close(cancelled)
	}()
	code := plugin.Call("forever", nil)
	<-cancelled
	if code != -1 || !strings.Contains(plugin.Error(), "cancelled") {
		t.Error(code, plugin.Error())
	}
	if handle.Cancel() {
		t.Error("nothing runs")
	}
	allIsWell(t, plugin)
}

func TestGoroutinesAndTheCollector(t *testing.T) {
	var all sync.WaitGroup
	for i := 0; i < 4; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			plugin := newPlugin(t, guest, 0)
			defer plugin.Free()
			for round := 0; round < 20; round++ {
				allIsWell(t, plugin)
				faults(t)
				runtime.GC()
			}
		}()
	}
	all.Wait()
}

// Go turns faults in its own code into panics, and grows stacks.
func TestTheHostFaults(t *testing.T) {
	plugin := newPlugin(t, guest, 0)
	defer plugin.Free()
	allIsWell(t, plugin)
	faults(t)
	allIsWell(t, plugin)
}

func faults(t *testing.T) {
	func() {
		defer func() {
			if _, isFault := recover().(runtime.Error); !isFault {
				t.Error("no panic")
			}
		}()
		var nothing *struct{ field int }
		nothing.field = 1
	}()
	if depth(100000) != 100000 {
		t.Error("a deep call")
	}
}

func depth(left int) int {
	var frame [64]byte
	if left == 0 {
		return int(frame[0])
	}
	return depth(left-1) + 1
}

func TestSignals(t *testing.T) {
	plugin := newPlugin(t, guest, 0)
	defer plugin.Free()
	allIsWell(t, plugin)
	after := make(chan os.Signal, 1)
	signal.Notify(after, syscall.SIGUSR1)
	for number, signals := range map[syscall.Signal]chan os.Signal{syscall.SIGHUP: before, syscall.SIGUSR1: after} {
		if err := syscall.Kill(os.Getpid(), number); err != nil {
			t.Fatal(err)
		}
		select {
		case <-signals:
		case <-time.After(10 * time.Second):
			t.Error("no", number)
		}
	}
	// A program that asks Go for all signals also gets the library's.
	signal.Notify(make(chan os.Signal, 1))
	TestTimeout(t)
	signal.Reset()
	TestTimeout(t)
}
