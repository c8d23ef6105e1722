package host

// #cgo LDFLAGS: -lextism
// #include <stdlib.h>
// #include <extism.h>
//
// EXTISM_GO_FUNCTION(called);
// extern void released(uintptr_t);
//
// static inline ExtismFunction *function_new(uintptr_t body)
// {
//     const ExtismValType i64 = ExtismValType_I64;
//     return extism_function_new("host", &i64, 1, &i64, 1, (ExtismFunctionType)called, (void *)body,
//                                (void (*)(void *))released);
// }
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/cgo"
	"sync/atomic"
	"unsafe"
)

// Body is what a host function does.
type Body func(input []byte) []byte

// The number of host functions that the library has.
var live int32

// Hands the argument's bytes to a body, and its answer to the plugin. A panic becomes the call's error.
//
//export called
func called(plugin unsafe.Pointer, inputs *C.ExtismVal, nInputs C.ExtismSize,
	outputs *C.ExtismVal, nOutputs C.ExtismSize, body C.uintptr_t) {
	current := (*C.ExtismCurrentPlugin)(plugin)
	// Go would unwind through the library, which then never ends the plugin's call.
	defer func() {
		if problem := recover(); problem != nil {
			text := C.CString(fmt.Sprint(problem))
			defer C.free(unsafe.Pointer(text))
			C.extism_current_plugin_error_set(current, text)
		}
	}()
	handle := *(*C.uint64_t)(unsafe.Pointer(&inputs.v))
	length := C.extism_current_plugin_memory_length(current, handle)
	memory := unsafe.Pointer(C.extism_current_plugin_memory(current))
	input := C.GoBytes(unsafe.Add(memory, handle), C.int(length))
	answer := cgo.Handle(body).Value().(Body)(input)
	block := C.extism_current_plugin_memory_alloc(current, C.uint64_t(len(answer)))
	if block == 0 && len(answer) > 0 {
		panic("no room for the answer")
	}
	copy(unsafe.Slice((*byte)(unsafe.Add(memory, block)), len(answer)), answer)
	*(*C.uint64_t)(unsafe.Pointer(&outputs.v)) = block
}

//export released
func released(body C.uintptr_t) {
	cgo.Handle(body).Delete()
	atomic.AddInt32(&live, -1)
}

// Go's collector keeps objects of fewer than 16 bytes together, and may never find that one of them can be freed.
type padding [8]byte

// Function is a host function named `host`, freed by the collector.
type Function struct {
	token *C.ExtismFunction
	_     padding
}

// NewFunction makes a host function.
func NewFunction(body Body) *Function {
	atomic.AddInt32(&live, 1)
	function := &Function{token: C.function_new(C.uintptr_t(cgo.NewHandle(body)))}
	runtime.SetFinalizer(function, func(f *Function) { C.extism_function_free(f.token) })
	return function
}

// Compiled is a compiled plugin, freed by the collector.
type Compiled struct {
	token *C.ExtismCompiledPlugin
	_     padding
}

// Compile makes a compiled plugin of a manifest.
func Compile(manifest []byte, function *Function) (*Compiled, error) {
	var problem *C.char
	size := C.ExtismSize(len(manifest))
	token := C.extism_compiled_plugin_new(pointer(manifest), size, &function.token, 1, false, &problem)
	runtime.KeepAlive(function)
	if token == nil {
		return nil, taken(problem)
	}
	compiled := &Compiled{token: token}
	runtime.SetFinalizer(compiled, func(c *Compiled) { C.extism_compiled_plugin_free(c.token) })
	return compiled, nil
}

// Plugin is a plugin, freed by the collector.
type Plugin struct {
	token *C.ExtismPlugin
	_     padding
}

// New makes a plugin of a manifest.
func New(manifest []byte, function *Function) (*Plugin, error) {
	var problem *C.char
	token := C.extism_plugin_new(pointer(manifest), C.ExtismSize(len(manifest)), &function.token, 1, false, &problem)
	runtime.KeepAlive(function)
	return wrap(token, problem)
}

// New makes a plugin of a compiled plugin.
func (c *Compiled) New() (*Plugin, error) {
	var problem *C.char
	token := C.extism_plugin_new_from_compiled(c.token, &problem)
	runtime.KeepAlive(c)
	return wrap(token, problem)
}

func wrap(token *C.ExtismPlugin, problem *C.char) (*Plugin, error) {
	if token == nil {
		return nil, taken(problem)
	}
	plugin := &Plugin{token: token}
	runtime.SetFinalizer(plugin, func(p *Plugin) { C.extism_plugin_free(p.token) })
	return plugin, nil
}

// The error of something that could not be made.
func taken(problem *C.char) error {
	defer C.extism_plugin_new_error_free(problem)
	return errors.New(C.GoString(problem))
}

func pointer(data []byte) *C.uint8_t {
	if len(data) == 0 {
		return nil
	}
	return (*C.uint8_t)(unsafe.Pointer(&data[0]))
}

// Version is the version of Extism.
func Version() string {
	return C.GoString(C.extism_version())
}

// Call calls a function, and returns what that returns, the output, and the error or an empty text.
func (p *Plugin) Call(name string, input []byte) (int, []byte, string) {
	// The output and the error's text belong to the thread that called. A goroutine may move to another one.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer runtime.KeepAlive(p)
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	code := C.extism_plugin_call(p.token, text, pointer(input), C.ExtismSize(len(input)))
	length := C.extism_plugin_output_length(p.token)
	output := C.GoBytes(unsafe.Pointer(C.extism_plugin_output_data(p.token)), C.int(length))
	return int(code), output, C.GoString(C.extism_plugin_error(p.token))
}

// Cancel stops the plugin's call.
func (p *Plugin) Cancel() bool {
	defer runtime.KeepAlive(p)
	return bool(C.extism_plugin_cancel(C.extism_plugin_cancel_handle(p.token)))
}
