// The library for Java, by JNA: as much of it as the tests of host functions need.

import com.sun.jna.Callback;
import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.PointerByReference;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Function;

final class Extism {
    interface Called extends Callback {
        void called(Pointer plugin, Pointer inputs, long inputCount, Pointer outputs, long outputCount, Pointer number);
    }

    interface Released extends Callback {
        void released(Pointer number);
    }

    interface Functions extends Library {
        String extism_version();
        Pointer extism_plugin_new(byte[] manifest, long length, Pointer[] functions, long count, boolean withWasi,
            PointerByReference error);
        Pointer extism_compiled_plugin_new(byte[] manifest, long length, Pointer[] functions, long count,
            boolean withWasi, PointerByReference error);
        void extism_compiled_plugin_free(Pointer compiled);
        Pointer extism_plugin_new_from_compiled(Pointer compiled, PointerByReference error);
        void extism_plugin_new_error_free(Pointer error);
        void extism_plugin_free(Pointer plugin);
        int extism_plugin_call(Pointer plugin, String function, byte[] input, long length);
        Pointer extism_plugin_error(Pointer plugin);
        long extism_plugin_output_length(Pointer plugin);
        Pointer extism_plugin_output_data(Pointer plugin);
        Pointer extism_plugin_cancel_handle(Pointer plugin);
        boolean extism_plugin_cancel(Pointer handle);
        Pointer extism_function_new(String name, int[] inputs, long inputCount, int[] outputs, long outputCount,
            Called called, Pointer number, Released released);
        void extism_function_free(Pointer function);
        Pointer extism_current_plugin_memory(Pointer plugin);
        long extism_current_plugin_memory_alloc(Pointer plugin, long length);
        long extism_current_plugin_memory_length(Pointer plugin, long handle);
        void extism_current_plugin_error_set(Pointer plugin, byte[] text);
    }

    static final Functions LIBRARY = Native.load(System.getenv("EXTISM_LIBRARY"), Functions.class);
    static final String GUEST = System.getenv("EXTISM_GUEST");
    static final Cleaner CLEANER = Cleaner.create();
    static final int[] I64 = {1};
    /** Where the value is in an ExtismVal. */
    static final long VALUE = 8;

    /** What a host function does. */
    interface Body {
        String apply(String data) throws Throwable;
    }

    /** What host functions do, by the number that is their user data. */
    static final Map<Long, Body> BODIES = new ConcurrentHashMap<>();
    static final AtomicLong MADE = new AtomicLong();

    /** Hands the argument's text to a body, and its answer to the plugin. An exception becomes the call's error. */
    static void called(Pointer plugin, Pointer inputs, long inputCount, Pointer outputs, long outputCount,
            Pointer number) {
        try {
            long handle = inputs.getLong(VALUE);
            int length = (int) LIBRARY.extism_current_plugin_memory_length(plugin, handle);
            byte[] data = LIBRARY.extism_current_plugin_memory(plugin).getByteArray(handle, length);
            Body body = BODIES.get(Pointer.nativeValue(number));
            byte[] answer = utf8(body.apply(new String(data, StandardCharsets.UTF_8)));
            long block = LIBRARY.extism_current_plugin_memory_alloc(plugin, answer.length);
            if (block == 0 && answer.length > 0) {
                throw new OutOfMemoryError("no room for the answer");
            }
            LIBRARY.extism_current_plugin_memory(plugin).write(block, answer, 0, answer.length);
            outputs.setLong(VALUE, block);
        } catch (Throwable error) { // JNA prints exceptions and forgets them, and the plugin would go on
            LIBRARY.extism_current_plugin_error_set(plugin, utf8(error + "\0"));
        }
    }

    // The collector must not take them while C has them.
    static final Called CALLED = Extism::called;
    static final Released RELEASED = number -> BODIES.remove(Pointer.nativeValue(number));

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** A function of the library that makes something of a manifest. */
    interface Creation {
        Pointer create(byte[] manifest, long length, Pointer[] functions, long count, boolean withWasi,
            PointerByReference error);
    }

    /** Something of the library's, freed by the collector. */
    static class Owned {
        final Pointer token;

        Owned(Function<PointerByReference, Pointer> make, Consumer<Pointer> free) {
            PointerByReference error = new PointerByReference();
            Pointer token = make.apply(error);
            if (token == null) {
                String text = error.getValue().getString(0);
                LIBRARY.extism_plugin_new_error_free(error.getValue());
                throw new IllegalArgumentException(text);
            }
            this.token = token;
            CLEANER.register(this, () -> free.accept(token));
        }

        /** Something done with the token. Without the fence, the collector may free it meanwhile. */
        <T> T with(Function<Pointer, T> work) {
            try {
                return work.apply(token);
            } finally {
                Reference.reachabilityFence(this);
            }
        }
    }

    /** The host function `host`. */
    static Owned function(Body body) {
        long number = MADE.incrementAndGet();
        BODIES.put(number, body);
        return new Owned(error -> LIBRARY.extism_function_new("host", I64, 1, I64, 1, CALLED, new Pointer(number),
            RELEASED), LIBRARY::extism_function_free);
    }

    /** Makes a plugin or a compiled plugin, with one host function. */
    static Function<PointerByReference, Pointer> load(Creation creation, Body body, String path, String keys) {
        byte[] manifest = utf8("{\"wasm\": [{\"path\": \"" + path + "\"}]" + keys + "}");
        return error -> function(body).with(function ->
            creation.create(manifest, manifest.length, new Pointer[] {function}, 1, false, error));
    }

    /** A compiled plugin with one host function. */
    static Owned compiled(Body body) {
        return new Owned(load(LIBRARY::extism_compiled_plugin_new, body, GUEST, ""),
            LIBRARY::extism_compiled_plugin_free);
    }

    /** A plugin with one host function, or of a compiled plugin. */
    static final class Plugin extends Owned {
        Plugin(Body body, String path, String keys) {
            super(load(LIBRARY::extism_plugin_new, body, path, keys), LIBRARY::extism_plugin_free);
        }

        Plugin(Body body) {
            this(body, GUEST, "");
        }

        Plugin(Owned compiled) {
            super(error -> compiled.with(token -> LIBRARY.extism_plugin_new_from_compiled(token, error)),
                LIBRARY::extism_plugin_free);
        }

        int call(String function, String input) {
            byte[] bytes = utf8(input);
            return with(token -> LIBRARY.extism_plugin_call(token, function, bytes, bytes.length));
        }

        String error() {
            Pointer error = with(LIBRARY::extism_plugin_error);
            return error == null ? "" : error.getString(0, "UTF-8");
        }

        boolean cancel() {
            return with(token -> LIBRARY.extism_plugin_cancel(LIBRARY.extism_plugin_cancel_handle(token)));
        }

        String output() {
            byte[] bytes = with(token -> LIBRARY.extism_plugin_output_data(token)
                .getByteArray(0, (int) LIBRARY.extism_plugin_output_length(token)));
            return new String(bytes, StandardCharsets.UTF_8);
        }
    }
}
