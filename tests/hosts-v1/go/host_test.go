// Host functions inside Go, by cgo.
package host

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
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

func manifest(path string, timeout int) []byte {
	keys := map[string]interface{}{"wasm": []map[string]string{{"path": path}}}
	if timeout > 0 {
		keys["timeout_ms"] = timeout
	}
	text, err := json.Marshal(keys)
	if err != nil {
		panic(err)
	}
	return text
}

// A plugin. None is a panic: in a host function, the test may not be ended.
func newPlugin(body Body) *Plugin {
	return must(New(manifest(guest, 0), NewFunction(body)))
}

func must[T any](made T, err error) T {
	if err != nil {
		panic(err)
	}
	return made
}

func answers(t *testing.T, plugin *Plugin, input string) {
	t.Helper()
	if code, output, problem := plugin.Call("run", []byte(input)); code != 0 || string(output) != strings.ToUpper(input) {
		t.Errorf("%.20s: %d, %s, %.20s", input, code, problem, output)
	}
}

func fails(t *testing.T, plugin *Plugin, name string, code int, text string, input ...byte) {
	t.Helper()
	if got, _, problem := plugin.Call(name, input); got != code || !strings.Contains(problem, text) {
		t.Errorf("%s: %d, %s", name, got, problem)
	}
	if got, _, problem := plugin.Call("fine", nil); got != 7 || problem != "" {
		t.Errorf("after %s: %d, %s", name, got, problem)
	}
}

func TestAnswers(t *testing.T) {
	if !strings.HasPrefix(Version(), "1.") {
		t.Error(Version())
	}
	plugin := newPlugin(bytes.ToUpper)
	answers(t, plugin, "hello")
	answers(t, plugin, strings.Repeat("x", 300000))
	plugin = must(New(manifest(vowels, 0), NewFunction(bytes.ToUpper)))
	var answer struct{ Count int }
	code, output, problem := plugin.Call("count_vowels", []byte("hello world"))
	if err := json.Unmarshal(output, &answer); err != nil || code != 0 || answer.Count != 3 {
		t.Error(code, problem, answer, err)
	}
	_, err := New(manifest("no.wasm", 0), NewFunction(bytes.ToUpper))
	if err == nil || !strings.Contains(err.Error(), "no.wasm") {
		t.Error(err)
	}
}

func TestACallbackThatPanics(t *testing.T) {
	var nothing *struct{ field byte }
	var problem interface{} = "héllo"
	plugin := newPlugin(func(input []byte) []byte {
		if problem != nil {
			panic(problem)
		}
		return bytes.ToUpper(input)
	})
	fails(t, plugin, "run", -1, "héllo")
	problem = fmt.Errorf("an error")
	fails(t, plugin, "run", -1, "an error")
	problem = nil
	answers(t, plugin, "hello")
	// Go turns faults in its own code into panics, and grows stacks.
	plugin = newPlugin(func(input []byte) []byte {
		return input[:depth(100000)+int(nothing.field)]
	})
	for i := 0; i < 100; i++ {
		fails(t, plugin, "run", -1, "nil pointer dereference")
	}
	fails(t, newPlugin(func(input []byte) []byte { return input[1:] }), "run", -1, "out of range")
}

func depth(left int) int {
	var frame [64]byte
	if left == 0 {
		return int(frame[0])
	}
	return depth(left-1) + 1
}

func TestACallbackThatCallsTheLibrary(t *testing.T) {
	inner := newPlugin(bytes.ToUpper)
	var outer *Plugin
	var code int
	var text string
	outer = newPlugin(func(input []byte) []byte {
		for name, text := range traps {
			fails(t, inner, name, 134, text)
		}
		answers(t, inner, string(input))
		answers(t, newPlugin(bytes.ToUpper), string(input))
		code, _, text = outer.Call("run", nil)
		return bytes.ToUpper(input)
	})
	answers(t, outer, "hello")
	if code != -1 || !strings.Contains(text, "is running") {
		t.Error(code, text)
	}
	// A function that reaches its own plugin would keep it for ever.
	outer = nil
	if got := nested(make([]byte, 20)); string(got) != "!" {
		t.Errorf("%s", got)
	}
}

// The answer of a plugin whose host function calls another one, one for each byte of the input.
func nested(input []byte) []byte {
	if len(input) == 0 {
		return []byte("!")
	}
	code, output, problem := newPlugin(nested).Call("run", input[1:])
	if code != 0 {
		panic(problem)
	}
	return output
}

func TestTheHostAtTheEndOfTheStack(t *testing.T) {
	calls := 0
	plugin := newPlugin(func(input []byte) []byte {
		calls++
		return input
	})
	fails(t, plugin, "deeper", 134, "call stack exhausted")
	if calls < 100 {
		t.Error(calls)
	}
}

func TestTheCollector(t *testing.T) {
	body := func(input []byte) []byte {
		runtime.GC()
		newPlugin(bytes.ToUpper)
		return bytes.ToUpper(input)
	}
	compiled := must(Compile(manifest(guest, 0), NewFunction(body)))
	for i := 0; i < 20; i++ {
		plugin := must(compiled.New())
		answers(t, plugin, "hello")
		runtime.GC()
		answers(t, plugin, "hello")
		answers(t, newPlugin(body), "hello")
	}
	runtime.KeepAlive(compiled)
	// What earlier tests have made goes, too. Finalizers have a goroutine of their own.
	for i := 0; i < 1000 && atomic.LoadInt32(&live) > 0; i++ {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	if left := atomic.LoadInt32(&live); left != 0 {
		t.Error(left, "functions are left")
	}
}

func TestGoroutines(t *testing.T) {
	compiled := must(Compile(manifest(guest, 0), NewFunction(func(input []byte) []byte {
		if string(input) == "panic" {
			panic("as asked")
		}
		return bytes.ToUpper(input)
	})))
	var all sync.WaitGroup
	for i := 0; i < 8; i++ {
		i := i
		all.Add(1)
		go func() {
			defer all.Done()
			plugin := must(compiled.New())
			for turn := 0; turn < 50; turn++ {
				answers(t, plugin, fmt.Sprint("goroutine ", i, " turn ", turn))
				fails(t, plugin, "run", -1, "as asked", []byte("panic")...)
				for name, text := range traps {
					fails(t, plugin, name, 134, text)
				}
				runtime.GC()
			}
		}()
	}
	all.Wait()
}

func TestATimeoutWhileTheCallbackSleeps(t *testing.T) {
	plugin := must(New(manifest(guest, 50), NewFunction(func(input []byte) []byte {
		time.Sleep(200 * time.Millisecond)
		return input
	})))
	start := time.Now()
	fails(t, plugin, "run", 134, "timeout")
	if took := time.Since(start); took < 200*time.Millisecond || took > 10*time.Second {
		t.Error(took)
	}
}

func TestCancel(t *testing.T) {
	for _, whileAsleep := range []bool{false, true} {
		running, cancelled := make(chan bool), make(chan bool, 1)
		plugin := newPlugin(func(input []byte) []byte {
			running <- true
			if whileAsleep {
				cancelled <- <-cancelled
			}
			return input
		})
		go func() {
			<-running
			cancelled <- plugin.Cancel()
		}()
		fails(t, plugin, "run_forever", 134, "timeout: cancelled")
		if !<-cancelled {
			t.Error("no handle")
		}
	}
}
