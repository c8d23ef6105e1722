// Host functions inside a Java virtual machine.

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;

public final class HostTest {
    interface Test {
        void run() throws Exception;
    }

    static void check(boolean ok, String what) {
        if (!ok) {
            throw new AssertionError(what);
        }
    }

    static void answers(Extism.Plugin plugin, String input) {
        check(plugin.call("run", input) == 0, plugin.error());
        check(plugin.output().equals(input.toUpperCase()), "another answer");
    }

    static void fails(Extism.Plugin plugin, String function, int code, String text) {
        int got = plugin.call(function, "");
        check(got == code && plugin.error().contains(text), function + ": " + got + ", " + plugin.error());
        check(plugin.call("fine", "") == 7 && plugin.error().isEmpty(), "after " + function + ": " + plugin.error());
    }

    static void traps(Extism.Plugin plugin) {
        fails(plugin, "unreachable", 134, "unreachable");
        fails(plugin, "outside", 134, "out of bounds");
        fails(plugin, "divide", 134, "divide by zero");
        fails(plugin, "recurse", 134, "call stack exhausted");
    }

    static void answers() {
        check(Extism.LIBRARY.extism_version().startsWith("1."), Extism.LIBRARY.extism_version());
        Extism.Plugin plugin = new Extism.Plugin(String::toUpperCase);
        answers(plugin, "hello");
        answers(plugin, "x".repeat(300_000));
        plugin = new Extism.Plugin(String::toUpperCase, System.getenv("EXTISM_PLUGIN"), "");
        check(plugin.call("count_vowels", "hello world") == 0, plugin.error());
        check(plugin.output().replace(" ", "").contains("\"count\":3"), plugin.output());
        String problem = "";
        try {
            new Extism.Plugin(String::toUpperCase, "no.wasm", "");
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
            Extism.Plugin plugin = new Extism.Plugin(data -> data.isEmpty() ? raise(error) : data.toUpperCase());
            fails(plugin, "run", -1, error.toString());
            answers(plugin, "hello");
        }
        // The virtual machine finds both by signals for which the library has handlers, too.
        Object[] nothing = {null};
        Extism.Plugin overflowing = new Extism.Plugin(data -> "" + forever(0));
        Extism.Plugin dereferencing = new Extism.Plugin(data -> "" + nothing[0].hashCode());
        for (int i = 0; i < 12_000; i++) {
            fails(dereferencing, "run", -1, "NullPointerException");
            if (i % 500 == 0) {
                fails(overflowing, "run", -1, "StackOverflowError");
            }
        }
    }

    static void nesting() {
        Extism.Plugin inner = new Extism.Plugin(String::toUpperCase);
        Extism.Plugin[] outer = {null};
        List<Object> seen = new ArrayList<>();
        outer[0] = new Extism.Plugin(data -> {
            traps(inner);
            answers(inner, data);
            answers(new Extism.Plugin(String::toUpperCase), data);
            seen.add(outer[0].call("run", ""));
            seen.add(outer[0].error());
            return data.toUpperCase();
        });
        answers(outer[0], "hello");
        check(seen.get(0).equals(-1) && seen.get(1).toString().contains("is running"), seen.toString());
        check(nested("x".repeat(20)).equals("!"), "another answer");
        // A function that reaches its own plugin would keep it for ever.
        outer[0] = null;
    }

    static String nested(String input) {
        if (input.isEmpty()) {
            return "!";
        }
        Extism.Plugin plugin = new Extism.Plugin(HostTest::nested);
        check(plugin.call("run", input.substring(1)) == 0, plugin.error());
        return plugin.output();
    }

    static void theEndOfTheStack() {
        AtomicInteger depth = new AtomicInteger();
        Extism.Plugin plugin = new Extism.Plugin(data -> data.substring(0 / depth.incrementAndGet()));
        fails(plugin, "deeper", 134, "call stack exhausted");
        check(depth.get() > 100, depth + " calls");
    }

    static String collect(String data) {
        System.gc();
        new Extism.Plugin(String::toUpperCase);
        return data.toUpperCase();
    }

    static void collector() throws Exception {
        Extism.Owned compiled = Extism.compiled(HostTest::collect);
        for (int i = 0; i < 20; i++) {
            Extism.Plugin plugin = new Extism.Plugin(compiled);
            answers(plugin, "hello");
            System.gc();
            answers(plugin, "hello");
            answers(new Extism.Plugin(HostTest::collect), "hello");
        }
        compiled = null;
        // What earlier tests have made goes, too. The cleaner has a thread of its own.
        for (int i = 0; i < 1000 && !Extism.BODIES.isEmpty(); i++) {
            System.gc();
            Thread.sleep(10);
        }
        check(Extism.BODIES.isEmpty(), Extism.BODIES.size() + " functions are left");
    }

    static void threads() throws Exception {
        Extism.Owned compiled = Extism.compiled(
            data -> data.equals("raise") ? "" + Integer.parseInt(data) : data.toUpperCase());
        AtomicInteger done = new AtomicInteger();
        Thread[] threads = new Thread[8];
        for (int i = 0; i < threads.length; i++) {
            String name = "thread " + i;
            threads[i] = new Thread(null, () -> {
                Extism.Plugin plugin = new Extism.Plugin(compiled);
                for (int turn = 0; turn < 100; turn++) {
                    answers(plugin, name + " turn " + turn);
                    int code = plugin.call("run", "raise");
                    check(code == -1 && plugin.error().contains("For input string"), plugin.error());
                    traps(plugin);
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
        Extism.Plugin plugin = new Extism.Plugin(HostTest::sleep, Extism.GUEST, ", \"timeout_ms\": 50");
        long start = System.nanoTime();
        fails(plugin, "run", 134, "timeout");
        long took = (System.nanoTime() - start) / 1_000_000;
        check(took >= 200 && took < 10_000, took + " ms");
    }

    static void cancel() throws Exception {
        for (boolean whileAsleep : new boolean[] {false, true}) {
            Semaphore running = new Semaphore(0);
            Extism.Plugin plugin = new Extism.Plugin(data -> {
                running.release();
                return whileAsleep ? sleep(data) : data;
            });
            Thread canceller = new Thread(() -> {
                running.acquireUninterruptibly();
                plugin.cancel();
            });
            canceller.start();
            fails(plugin, "run_forever", 134, "timeout: cancelled");
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
