// The library inside a Java virtual machine, by JNA.

import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import sun.misc.Signal;

public final class HostTest {
    interface Extism extends Library {
        String extism_version();
        Pointer extism_context_new();
        void extism_context_free(Pointer context);
        int extism_plugin_new(Pointer context, byte[] manifest, long length, boolean withWasi);
        int extism_plugin_call(Pointer context, int plugin, String function, byte[] input, long length);
        String extism_error(Pointer context, int plugin);
        long extism_plugin_output_length(Pointer context, int plugin);
        Pointer extism_plugin_output_data(Pointer context, int plugin);
        Pointer extism_plugin_cancel_handle(Pointer context, int plugin);
        /** A bool in C is one byte; JNA's boolean is four. */
        byte extism_plugin_cancel(Pointer handle);
        void extism_cancel_handle_free(Pointer handle);
    }

    static final CountDownLatch BEFORE = new CountDownLatch(1);

    static {
        // A handler from before the library was loaded.
        Signal.handle(new Signal("URG"), signal -> BEFORE.countDown());
    }

    static final Extism LIBRARY = Native.load(System.getenv("EXTISM_LIBRARY"), Extism.class);
    static final String GUEST = System.getenv("EXTISM_GUEST");

    static final Map<String, String> TRAPS = Map.of(
        "unreachable", "unreachable",
        "outside", "out of bounds",
        "divide", "divide by zero",
        "recurse", "call stack exhausted");

    /** A plugin in a context of its own. */
    static final class Plugin implements AutoCloseable {
        final Pointer context = LIBRARY.extism_context_new();
        final int id;

        Plugin(String path, int timeout) {
            String keys = timeout > 0 ? ", \"timeout_ms\": " + timeout : "";
            byte[] manifest = ("{\"wasm\": [{\"path\": \"" + path + "\"}]" + keys + "}").getBytes(StandardCharsets.UTF_8);
            id = LIBRARY.extism_plugin_new(context, manifest, manifest.length, false);
            check(id >= 0, "a plugin");
        }

        int call(String function, String input) {
            byte[] bytes = input.getBytes(StandardCharsets.UTF_8);
            return LIBRARY.extism_plugin_call(context, id, function, bytes, bytes.length);
        }

        String error() {
            String error = LIBRARY.extism_error(context, id);
            return error == null ? "" : error;
        }

        String output() {
            int length = (int) LIBRARY.extism_plugin_output_length(context, id);
            byte[] bytes = LIBRARY.extism_plugin_output_data(context, id).getByteArray(0, length);
            return new String(bytes, StandardCharsets.UTF_8);
        }

        @Override
        public void close() {
            LIBRARY.extism_context_free(context);
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

    static void allIsWell(Plugin plugin) {
        TRAPS.forEach((name, text) -> {
            check(plugin.call(name, "") == -1, name);
            check(plugin.error().contains(text), plugin.error());
            check(plugin.call("fine", "") == 7, "after " + name);
        });
    }

    static void answers() {
        check(LIBRARY.extism_version().startsWith("0.1."), LIBRARY.extism_version());
        try (Plugin plugin = new Plugin(System.getenv("EXTISM_PLUGIN"), 0)) {
            check(plugin.call("count_vowels", "hello world") == 0, "call");
            check(plugin.output().contains("\"count\": 3") || plugin.output().contains("\"count\":3"), plugin.output());
        }
    }

    static void traps() {
        try (Plugin plugin = new Plugin(GUEST, 0)) {
            allIsWell(plugin);
        }
    }

    static void timeout() {
        try (Plugin plugin = new Plugin(GUEST, 50)) {
            long start = System.nanoTime();
            check(plugin.call("forever", "") == -1 && plugin.error().contains("timeout"), plugin.error());
            long took = (System.nanoTime() - start) / 1_000_000;
            check(took >= 50 && took < 5000, took + " ms");
            allIsWell(plugin);
        }
    }

    static void cancel() throws Exception {
        try (Plugin plugin = new Plugin(GUEST, 0)) {
            Pointer handle = LIBRARY.extism_plugin_cancel_handle(plugin.context, plugin.id);
            Thread canceller = new Thread(() -> {
                while (LIBRARY.extism_plugin_cancel(handle) == 0) {
                    Thread.yield();
                }
            });
            canceller.start();
            check(plugin.call("forever", "") == -1 && plugin.error().contains("cancelled"), plugin.error());
            canceller.join();
            check(LIBRARY.extism_plugin_cancel(handle) == 0, "nothing runs");
            LIBRARY.extism_cancel_handle_free(handle);
            allIsWell(plugin);
        }
    }

    static void threadsAndTheCollector() throws Exception {
        AtomicInteger done = new AtomicInteger();
        Thread[] threads = new Thread[4];
        for (int i = 0; i < threads.length; i++) {
            // Stacks are as small as the virtual machine allows.
            threads[i] = new Thread(null, () -> {
                try (Plugin plugin = new Plugin(GUEST, 0)) {
                    for (int round = 0; round < 20; round++) {
                        allIsWell(plugin);
                        faults();
                    }
                }
                done.incrementAndGet();
            }, "plugins", 128 << 10);
            threads[i].start();
        }
        for (Thread thread : threads) {
            while (thread.isAlive()) {
                System.gc();
            }
        }
        check(done.get() == threads.length, done + " threads");
    }

    static int forever(int depth) {
        return forever(depth + 1) + 1;
    }

    /** The virtual machine uses the same signals: for null pointers, stacks, and to stop threads. */
    static void theHostFaults() {
        try (Plugin plugin = new Plugin(GUEST, 0)) {
            for (int round = 0; round < 10; round++) {
                allIsWell(plugin);
                faults();
            }
            allIsWell(plugin);
        }
    }

    static void faults() {
        int caught = 0;
        // Often enough for compiled code, which has no null checks, but relies on the handler.
        for (int i = 0; i < 20_000; i++) {
            try {
                Object nothing = i < 0 ? "" : null;
                caught += nothing.hashCode();
            } catch (NullPointerException expected) {
                caught++;
            }
        }
        check(caught == 20_000, "null");
        boolean isOver = false;
        try {
            forever(0);
        } catch (StackOverflowError expected) {
            isOver = true;
        }
        check(isOver, "a stack without end");
    }

    static void signals() throws Exception {
        try (Plugin plugin = new Plugin(GUEST, 0)) {
            allIsWell(plugin);
        }
        CountDownLatch after = new CountDownLatch(1);
        // The virtual machine keeps SIGUSR1 and SIGUSR2 for itself.
        Signal.handle(new Signal("WINCH"), signal -> after.countDown());
        Signal.raise(new Signal("URG"));
        Signal.raise(new Signal("WINCH"));
        check(BEFORE.await(10, TimeUnit.SECONDS), "SIGURG");
        check(after.await(10, TimeUnit.SECONDS), "SIGWINCH");
    }

    public static void main(String[] arguments) {
        Map<String, Test> tests = Map.of(
            "answers", HostTest::answers,
            "traps", HostTest::traps,
            "timeout", HostTest::timeout,
            "cancel", HostTest::cancel,
            "threads and the collector", HostTest::threadsAndTheCollector,
            "the host faults", HostTest::theHostFaults,
            "signals", HostTest::signals);
        int failed = 0;
        for (Map.Entry<String, Test> test : tests.entrySet()) {
            try {
                test.getValue().run();
            } catch (Throwable problem) {
                System.err.println(test.getKey() + ": " + problem);
                failed++;
            }
        }
        System.out.println((tests.size() - failed) + " passed, " + failed + " failed");
        System.exit(failed == 0 ? 0 : 1);
    }
}
