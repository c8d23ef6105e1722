// Host functions inside a Java virtual machine, by JNA.

import com.sun.jna.Callback;
import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.PointerByReference;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Function;

public final class HostTest {
    interface Called extends Callback {
        void called(Pointer plugin, Pointer inputs, long inputCount, Pointer outputs, long outputCount, Pointer number);
    }

    interface Released extends Callback {
        void released(Pointer number);
    }

    interface Extism extends Library {
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

    static final Extism LIBRARY = Native.load(System.getenv("EXTISM_LIBRARY"), Extism.class);
    static final String GUEST = System.getenv("EXTISM_GUEST");
    static final Cleaner CLEANER = Cleaner.create();
    static final int[] I64 = {1};
    /** Where the value is in an ExtismVal. */
    static final long VALUE = 8;

    interface Body {
        String apply(String data) throws Throwable;
    }

    /** What host functions do, by the number that is their user data. */
    static final Map<Long, Body> BODIES = new ConcurrentHashMap<>();
    static final AtomicLong MADE = new AtomicLong();

    /** Hands the argument's text to a body, and its answer to the plugin. An exception becomes the call's error. */
    static void called(Pointer plugin, Pointer inputs, long inputCount, Pointer outputs, long outputCount, Pointer number) {
        try {
            long handle = inputs.getLong(VALUE);
            int length = (int) LIBRARY.extism_current_plugin_memory_length(plugin, handle);
            byte[] data = LIBRARY.extism_current_plugin_memory(plugin).getByteArray(handle, length);
            byte[] answer = utf8(BODIES.get(Pointer.nativeValue(number)).apply(new String(data, StandardCharsets.UTF_8)));
            long block = LIBRARY.extism_current_plugin_memory_alloc(plugin, answer.length);
            check(block != 0 || answer.length == 0, "no room for the answer");
            LIBRARY.extism_current_plugin_memory(plugin).write(block, answer, 0, answer.length);
            outputs.setLong(VALUE, block);
        } catch (Throwable error) { // JNA prints exceptions and forgets them, and the plugin would go on
            LIBRARY.extism_current_plugin_error_set(plugin, utf8(error + "\0"));
        }
    }

    // The collector must not take them while C has them.
    static final Called CALLED = HostTest::called;
    static final Released RELEASED = number -> BODIES.remove(Pointer.nativeValue(number));

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

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

        String output() {
            byte[] bytes = with(token -> LIBRARY.extism_plugin_output_data(token)
                .getByteArray(0, (int) LIBRARY.extism_plugin_output_length(token)));
            return new String(bytes, StandardCharsets.UTF_8);
        }

        void answers(String input) {
            check(call("run", input) == 0, error());
            check(output().equals(input.toUpperCase()), "another answer");
        }

        void fails(String function, int code, String text) {
            int got = call(function, "");
            check(got == code && error().contains(text), function + ": " + got + ", " + error());
            check(call("fine", "") == 7 && error().isEmpty(), "after " + function + ": " + error());
        }

        void traps() {
            fails("unreachable", 134, "unreachable");
            fails("outside", 134, "out of bounds");
            fails("divide", 134, "divide by zero");
            fails("recurse", 134, "call stack exhausted");
        }
    }

    interface Test {
        void run() throws Exception;
    }

    static void check(boolean ok, String what) {
        if (!ok) {
            throw new AssertionError(what);
        }
    }

    static void answers() {
        check(LIBRARY.extism_version().startsWith("1."), LIBRARY.extism_version());
        Plugin plugin = new Plugin(String::toUpperCase);
        plugin.answers("hello");
        plugin.answers("x".repeat(300_000));
        plugin = new Plugin(String::toUpperCase, System.getenv("EXTISM_PLUGIN"), "");
        check(plugin.call("count_vowels", "hello world") == 0, plugin.error());
        check(plugin.output().replace(" ", "").contains("\"count\":3"), plugin.output());
        String problem = "";
        try {
            new Plugin(String::toUpperCase, "no.wasm", "");
        } catch (IllegalArgumentException error) {
            problem = error.getMessage();
        }
        check(problem.contains("no.wasm"), problem);
    }

    static int forever(int depth) {
        return forever(depth + 1) + 1;
    }

    static String raise(Throwable error) throws Throwable {
        throw error;
    }

    static void throwing() {
        for (Throwable error : List.of(new Exception("héllo"), new OutOfMemoryError("none"))) {
            Plugin plugin = new Plugin(data -> data.isEmpty() ? raise(error) : data.toUpperCase());
            plugin.fails("run", -1, error.toString());
            plugin.answers("hello");
        }
        // The virtual machine finds both by the signals that the library, too, has handlers for.
        Object[] nothing = {null};
        Plugin overflowing = new Plugin(data -> "" + forever(0));
        Plugin dereferencing = new Plugin(data -> "" + nothing[0].hashCode());
        for (int i = 0; i < 20_000; i++) {
            dereferencing.fails("run", -1, "NullPointerException");
            if (i % 500 == 0) {
                overflowing.fails("run", -1, "StackOverflowError");
            }
        }
    }

    static void nesting() {
        Plugin inner = new Plugin(String::toUpperCase);
        Plugin[] outer = {null};
        List<Object> seen = new ArrayList<>();
        outer[0] = new Plugin(data -> {
            inner.traps();
            inner.answers(data);
            new Plugin(String::toUpperCase).answers(data);
            seen.add(outer[0].call("run", ""));
            seen.add(outer[0].error());
            return data.toUpperCase();
        });
        outer[0].answers("hello");
        check(seen.get(0).equals(-1) && seen.get(1).toString().contains("is running"), seen.toString());
        check(nested("x".repeat(20)).equals("!"), "another answer");
        // A function that reaches its own plugin would keep it for ever.
        outer[0] = null;
    }

    static String nested(String input) {
        if (input.isEmpty()) {
            return "!";
        }
        Plugin plugin = new Plugin(HostTest::nested);
        check(plugin.call("run", input.substring(1)) == 0, plugin.error());
        return plugin.output();
    }

    static void theEndOfTheStack() {
        AtomicInteger depth = new AtomicInteger();
        new Plugin(data -> data + (depth.incrementAndGet() > 0 ? "" : "no")).fails("deeper", 134, "call stack exhausted");
        check(depth.get() > 100, depth + " calls");
    }

    static String collect(String data) {
        System.gc();
        new Plugin(String::toUpperCase);
        return data.toUpperCase();
    }

    static Owned compiled(Body body) {
        return new Owned(load(LIBRARY::extism_compiled_plugin_new, body, GUEST, ""), LIBRARY::extism_compiled_plugin_free);
    }

    static void collector() throws Exception {
        Owned compiled = compiled(HostTest::collect);
        for (int i = 0; i < 20; i++) {
            Plugin plugin = new Plugin(compiled);
            plugin.answers("hello");
            System.gc();
            plugin.answers("hello");
            new Plugin(HostTest::collect).answers("hello");
        }
        compiled = null;
        // What earlier tests have made goes, too. The cleaner has a thread of its own.
        for (int i = 0; i < 1000 && !BODIES.isEmpty(); i++) {
            System.gc();
            Thread.sleep(10);
        }
        check(BODIES.isEmpty(), BODIES.size() + " functions are left");
    }

    static void threads() throws Exception {
        Owned compiled = compiled(data -> data.equals("raise") ? "" + 1 / (data.length() - 5) : data.toUpperCase());
        AtomicInteger done = new AtomicInteger();
        Thread[] threads = new Thread[8];
        for (int i = 0; i < threads.length; i++) {
            String name = "thread " + i;
            threads[i] = new Thread(null, () -> {
                Plugin plugin = new Plugin(compiled);
                for (int turn = 0; turn < 100; turn++) {
                    plugin.answers(name + " turn " + turn);
                    int code = plugin.call("run", "raise");
                    check(code == -1 && plugin.error().contains("/ by zero"), plugin.error());
                    plugin.traps();
                }
                done.incrementAndGet();
            }, name, 256 << 10);
            threads[i].start();
        }
        for (Thread thread : threads) {
            while (thread.isAlive()) {
                System.gc();
            }
        }
        check(done.get() == threads.length, done + " threads");
    }

    static String sleep(String data) throws InterruptedException {
        Thread.sleep(200);
        return data;
    }

    static void timeout() {
        Plugin plugin = new Plugin(HostTest::sleep, GUEST, ", \"timeout_ms\": 50");
        long start = System.nanoTime();
        plugin.fails("run", 134, "timeout");
        long took = (System.nanoTime() - start) / 1_000_000;
        check(took >= 200 && took < 10_000, took + " ms");
    }

    static void cancel() throws Exception {
        for (boolean whileAsleep : new boolean[] {false, true}) {
            Semaphore running = new Semaphore(0);
            Plugin plugin = new Plugin(data -> {
                running.release();
                return whileAsleep ? sleep(data) : data;
            });
            Thread canceller = new Thread(() -> {
                running.acquireUninterruptibly();
                plugin.with(token -> LIBRARY.extism_plugin_cancel(LIBRARY.extism_plugin_cancel_handle(token)));
            });
            canceller.start();
            plugin.fails("run_forever", 134, "timeout: cancelled");
            canceller.join();
        }
    }

    public static void main(String[] arguments) {
        Map<String, Test> tests = Map.of(
            "answers", HostTest::answers,
            "a callback that throws", HostTest::throwing,
            "a callback that calls the library", HostTest::nesting,
            "the host at the end of the stack", HostTest::theEndOfTheStack,
            "the collector", HostTest::collector,
            "threads", HostTest::threads,
            "a timeout while the callback sleeps", HostTest::timeout,
            "cancel", HostTest::cancel);
        int failed = 0;
        for (Map.Entry<String, Test> test : tests.entrySet()) {
            long start = System.nanoTime();
            try {
                test.getValue().run();
            } catch (Throwable problem) {
                System.err.println(test.getKey() + ": " + problem);
                failed++;
            }
            System.err.println(test.getKey() + " " + (System.nanoTime() - start) / 1000000);
        }
        System.out.println((tests.size() - failed) + " passed, " + failed + " failed");
        System.exit(failed == 0 ? 0 : 1);
    }
}
