# Host functions inside Ruby, by ffi.

require "ffi"
require "json"
require "minitest/autorun"

module Extism
  # ExtismVal with the one member that these tests use.
  class Val < FFI::Struct
    layout :type, :uint32, :i64, :int64
  end

  extend FFI::Library
  ffi_lib ENV.fetch("EXTISM_LIBRARY")
  callback :host, [:pointer, :pointer, :uint64, :pointer, :uint64, :pointer], :void
  callback :release, [:pointer], :void
  attach_function :extism_version, [], :string
  creation = [:string, :uint64, :pointer, :uint64, :bool, :pointer]
  attach_function :extism_plugin_new, creation, :pointer
  attach_function :extism_compiled_plugin_new, creation, :pointer
  attach_function :extism_compiled_plugin_free, [:pointer], :void
  attach_function :extism_plugin_new_from_compiled, [:pointer, :pointer], :pointer
  attach_function :extism_plugin_new_error_free, [:pointer], :void
  attach_function :extism_plugin_free, [:pointer], :void
  # Ruby runs other threads during a call.
  attach_function :extism_plugin_call, [:pointer, :string, :buffer_in, :uint64], :int32, blocking: true
  attach_function :extism_plugin_error, [:pointer], :string
  attach_function :extism_plugin_output_length, [:pointer], :uint64
  attach_function :extism_plugin_output_data, [:pointer], :pointer
  attach_function :extism_plugin_cancel_handle, [:pointer], :pointer
  attach_function :extism_plugin_cancel, [:pointer], :bool
  attach_function :extism_function_new,
                  [:string, :pointer, :uint64, :pointer, :uint64, :host, :pointer, :release], :pointer
  attach_function :extism_function_free, [:pointer], :void
  attach_function :extism_current_plugin_memory, [:pointer], :pointer
  attach_function :extism_current_plugin_memory_alloc, [:pointer, :uint64], :uint64
  attach_function :extism_current_plugin_memory_length, [:pointer, :uint64], :uint64
  attach_function :extism_current_plugin_error_set, [:pointer, :string], :void

  I64 = FFI::MemoryPointer.new(:uint32).write_uint32(1)

  # What host functions do, by the number that is their user data.
  BODIES = {}

  # Hands the argument's bytes to a body, and its answer to the plugin. An exception becomes the call's error.
  CALLBACK = lambda do |plugin, inputs, _, outputs, _, number|
    handle = Val.new(inputs)[:i64]
    length = extism_current_plugin_memory_length(plugin, handle)
    answer = BODIES.fetch(number.address).call((extism_current_plugin_memory(plugin) + handle).read_bytes(length))
    block = extism_current_plugin_memory_alloc(plugin, answer.bytesize)
    raise NoMemoryError, "no room for the answer" if block.zero? && !answer.empty?

    (extism_current_plugin_memory(plugin) + block).write_bytes(answer)
    Val.new(outputs)[:i64] = block
    done = true
  rescue Exception => e # ffi keeps exceptions until the call is over, and the plugin would go on
    done = true
    extism_current_plugin_error_set(plugin, "#{e.class}: #{e.message}".delete("\0"))
  ensure
    unless done
      extism_current_plugin_error_set(plugin, "left by `throw` or Thread#kill")
      # Ends the jump, which would otherwise leave the library in the middle of the plugin's call.
      return
    end
  end

  RELEASE = ->(number) { BODIES.delete(number.address) }

  # A pointer to what a block makes, freed by the collector, or an exception with the library's error.
  def self.owned(free)
    error = FFI::MemoryPointer.new(:pointer)
    token = yield error
    return FFI::AutoPointer.new(token, method(free)) unless token.null?

    text = error.read_pointer.read_string
    extism_plugin_new_error_free(error.read_pointer)
    raise ArgumentError, text
  end

  # The host function `host`.
  def self.function(body)
    number = @made = (@made || 0) + 1
    BODIES[number] = body
    owned(:extism_function_free) do
      extism_function_new("host", I64, 1, I64, 1, CALLBACK, FFI::Pointer.new(number), RELEASE)
    end
  end

  # A plugin or compiled plugin, by the function `create`, with one host function.
  def self.load(create, free, body, path, keys)
    manifest = JSON.generate({ wasm: [{ path: path }] }.merge(keys))
    function = function(body)
    functions = FFI::MemoryPointer.new(:pointer).write_pointer(function)
    owned(free) { |error| send(create, manifest, manifest.bytesize, functions, 1, false, error) }
  ensure
    function&.null? # it is in use until here
  end
end

class Compiled
  attr_reader :token

  def initialize(body)
    @token = Extism.load(:extism_compiled_plugin_new, :extism_compiled_plugin_free, body, ENV.fetch("EXTISM_GUEST"), {})
  end
end

class Plugin
  attr_reader :token

  def initialize(source, path: ENV.fetch("EXTISM_GUEST"), **keys)
    @token =
      if source.is_a?(Compiled)
        Extism.owned(:extism_plugin_free) { |error| Extism.extism_plugin_new_from_compiled(source.token, error) }
      else
        Extism.load(:extism_plugin_new, :extism_plugin_free, source, path, keys)
      end
  end

  def call(name, input = "")
    Extism.extism_plugin_call(@token, name, input, input.bytesize)
  end

  def error
    Extism.extism_plugin_error(@token).to_s.dup.force_encoding("UTF-8")
  end

  def output
    Extism.extism_plugin_output_data(@token).read_bytes(Extism.extism_plugin_output_length(@token))
  end
end

class HostTest < Minitest::Test
  TRAPS = {
    "unreachable" => "unreachable",
    "outside" => "out of bounds",
    "divide" => "divide by zero",
    "recurse" => "call stack exhausted"
  }.freeze

  def assert_answers(plugin, input = "hello")
    assert_equal(0, plugin.call("run", input), plugin.error)
    assert_equal(input.upcase, plugin.output)
  end

  def assert_fails(plugin, name, code, text)
    assert_equal(code, plugin.call(name))
    assert_includes(plugin.error, text)
    assert_equal(7, plugin.call("fine"))
    assert_empty(plugin.error)
  end

  def test_answers
    assert(Extism.extism_version.start_with?("1."))
    plugin = Plugin.new(:upcase.to_proc)
    assert_answers(plugin)
    assert_answers(plugin, "x" * 300_000)
    plugin = Plugin.new(:upcase.to_proc, path: ENV.fetch("EXTISM_PLUGIN"))
    assert_equal(0, plugin.call("count_vowels", "hello world"))
    assert_equal(3, JSON.parse(plugin.output)["count"])
    assert_includes(assert_raises(ArgumentError) { Plugin.new(:upcase.to_proc, path: "no.wasm") }.message, "no.wasm")
  end

  def test_a_callback_that_raises
    problem = nil
    plugin = Plugin.new(->(input) { problem ? raise(problem) : input.upcase })
    [KeyError.new("héllo"), SystemExit.new(3), Interrupt.new("stop"), NoMemoryError.new("none")].each do |each|
      problem = each
      assert_fails(plugin, "run", -1, problem.message)
    end
    problem = nil
    assert_answers(plugin)
    forever = ->(input) { forever.call(input) }
    assert_fails(Plugin.new(forever), "run", -1, "SystemStackError")
    nested = 100_000.times.inject([]) { |inner, _| [inner] }
    # Ruby's handler of SIGSEGV finds this overflow, which is in C.
    assert_fails(Plugin.new(->(_) { Marshal.dump(nested) }), "run", -1, "SystemStackError")
    assert_fails(Plugin.new(->(_) { throw :away }), "run", -1, "UncaughtThrowError")
    jumping = Plugin.new(->(_) { throw :away })
    3.times { catch(:away) { assert_fails(jumping, "run", -1, "left by `throw`") } }
    killing = Plugin.new(->(_) { Thread.current.kill })
    thread = Thread.new { Thread.current[:code] = killing.call("run") }
    assert(thread.join(10))
    assert_equal(-1, thread[:code])
  end

  def test_a_callback_that_calls_the_library
    inner = Plugin.new(:upcase.to_proc)
    outer = seen = nil
    body = lambda do |input|
      TRAPS.each { |name, text| assert_fails(inner, name, 134, text) }
      assert_answers(inner, input)
      assert_answers(Plugin.new(:upcase.to_proc), input)
      seen = [outer.call("run"), outer.error]
      assert_raises(ArgumentError) { Plugin.new(body, path: "no.wasm") }
      input.upcase
    end
    outer = Plugin.new(body)
    assert_answers(outer)
    assert_equal(-1, seen[0])
    assert_includes(seen[1], "is running")
    assert_equal("!", nested("x" * 20))
  end

  # The answer of a plugin whose host function calls another one, one for each byte of the input.
  def nested(input)
    plugin = Plugin.new(->(rest) { rest.empty? ? "!" : nested(rest[1..]) })
    assert_equal(0, plugin.call("run", input), plugin.error)
    plugin.output
  end

  def test_the_host_at_the_end_of_the_stack
    depth = 0
    plugin = Plugin.new(->(input) { (depth += 1) && input })
    assert_fails(plugin, "deeper", 134, "call stack exhausted")
    assert_operator(depth, :>, 100)
  end

  def test_the_collector
    compiled = Compiled.new(->(input) { collect(input) })
    before = Extism::BODIES.size
    40.times do
      plugin = Plugin.new(compiled)
      assert_answers(plugin)
      GC.start
      assert_answers(plugin)
      assert_answers(Plugin.new(->(input) { collect(input) }))
    end
    GC.start
    # Ruby's collector may take a number on the stack for the address of an object.
    assert_operator(Extism::BODIES.size - before, :<, 20)
  end

  def collect(input)
    GC.start
    Plugin.new(:upcase.to_proc)
    input.upcase
  end

  def test_threads
    compiled = Compiled.new(->(input) { input == "raise" ? Integer("none") : input.upcase })
    threads = Array.new(8) do |number|
      Thread.new do
        plugin = Plugin.new(compiled)
        50.times do |turn|
          assert_answers(plugin, "thread #{number} turn #{turn}")
          assert_equal(-1, plugin.call("run", "raise"))
          assert_includes(plugin.error, "invalid value for Integer")
          TRAPS.each { |name, text| assert_fails(plugin, name, 134, text) }
        end
      end
    end
    GC.start while threads.any?(&:alive?)
    threads.each(&:join)
  end

  def test_a_timeout_while_the_callback_sleeps
    plugin = Plugin.new(->(input) { sleep(0.2) && input }, timeout_ms: 50)
    start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    assert_fails(plugin, "run", 134, "timeout")
    assert_includes(0.2..10, Process.clock_gettime(Process::CLOCK_MONOTONIC) - start)
  end

  def test_cancel
    running = Queue.new
    cancelled = Queue.new
    [false, true].each do |while_asleep|
      plugin = Plugin.new(->(input) { running << true && while_asleep && cancelled.pop && input || input })
      handle = Extism.extism_plugin_cancel_handle(plugin.token)
      canceller = Thread.new do
        running.pop
        cancelled << Extism.extism_plugin_cancel(handle)
      end
      assert_fails(plugin, "run_forever", 134, "timeout: cancelled")
      canceller.join
      assert(cancelled.pop) unless while_asleep
    end
  end
end
