package host

// #cgo LDFLAGS: -lextism
// #include <stdlib.h>
// #include <stdbool.h>
// #include <extism.h>
import "C"

import (
	"runtime"
	"unsafe"
)

// Version is the library's version.
func Version() string {
	return C.GoString(C.extism_version())
}

// Plugin is a plugin in a context of its own.
type Plugin struct {
	context *C.struct_ExtismContext
	id      C.ExtismPlugin
}

// New makes a plugin of a manifest, or returns the error.
func New(manifest []byte) (*Plugin, string) {
	context := C.extism_context_new()
	id := C.extism_plugin_new(context, bytes(manifest), C.uint64_t(len(manifest)), false)
	if id < 0 {
		problem := C.GoString(C.extism_error(context, -1))
		C.extism_context_free(context)
		return nil, problem
	}
	return &Plugin{context, id}, ""
}

func bytes(data []byte) *C.uint8_t {
	if len(data) == 0 {
		return nil
	}
	return (*C.uint8_t)(unsafe.Pointer(&data[0]))
}

// Call calls a function.
func (p *Plugin) Call(name string, input []byte) int {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	return int(C.extism_plugin_call(p.context, p.id, text, bytes(input), C.uint64_t(len(input))))
}

// Error is the error of the last call, or empty.
func (p *Plugin) Error() string {
	// The text belongs to the thread, which another goroutine could get before the text is copied.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return C.GoString(C.extism_error(p.context, p.id))
}

// Output is the output of the last call.
func (p *Plugin) Output() []byte {
	length := C.extism_plugin_output_length(p.context, p.id)
	return C.GoBytes(unsafe.Pointer(C.extism_plugin_output_data(p.context, p.id)), C.int(length))
}

// Free frees the plugin and its context.
func (p *Plugin) Free() {
	C.extism_context_free(p.context)
}

// Handle is a handle that cancels calls of a plugin.
type Handle struct{ handle *C.struct_ExtismCancelHandle }

// CancelHandle returns a handle that cancels calls of the plugin.
func (p *Plugin) CancelHandle() Handle {
	return Handle{C.extism_plugin_cancel_handle(p.context, p.id)}
}

// Cancel stops the plugin's call; false if there is none.
func (h Handle) Cancel() bool {
	return bool(C.extism_plugin_cancel(h.handle))
}

// Free frees the handle.
func (h Handle) Free() {
	C.extism_cancel_handle_free(h.handle)
}
