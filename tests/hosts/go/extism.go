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

// Version is that of the library.
func Version() string {
	return C.GoString(C.extism_version())
}

// Plugin is a plugin in a context of its own.
type Plugin struct {
	context *C.struct_ExtismContext
	id      C.ExtismPlugin
}

// New makes a plugin of a manifest, or says why it cannot.
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

// Error is what the last call has left, or nothing.
func (p *Plugin) Error() string {
	// The text is the thread's, which another goroutine may have before it is copied.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return C.GoString(C.extism_error(p.context, p.id))
}

// Output is what the last call has put out.
func (p *Plugin) Output() []byte {
	length := C.extism_plugin_output_length(p.context, p.id)
	return C.GoBytes(unsafe.Pointer(C.extism_plugin_output_data(p.context, p.id)), C.int(length))
}

// Free frees the plugin and its context.
func (p *Plugin) Free() {
	C.extism_context_free(p.context)
}

// Handle cancels calls of a plugin.
type Handle struct{ handle *C.struct_ExtismCancelHandle }

// CancelHandle returns what cancels calls of the plugin.
func (p *Plugin) CancelHandle() Handle {
	return Handle{C.extism_plugin_cancel_handle(p.context, p.id)}
}

// Cancel stops what the plugin runs; false if that is nothing.
func (h Handle) Cancel() bool {
	return bool(C.extism_plugin_cancel(h.handle))
}

// Free frees the handle.
func (h Handle) Free() {
	C.extism_cancel_handle_free(h.handle)
}
