# The library inside Ruby, by ffi.

require "ffi"
require "json"
require "minitest/autorun"

SEEN = []
# A handler from before the library was loaded.
trap("USR1") { SEEN << "USR1" }

module Extism
  extend FFI::Library
  ffi_lib ENV.fetch("EXTISM_LIBRARY")
  attach_function :extism_version, [], :string
  attach_function :extism_context_new, [], :pointer
  attach_function :extism_context_free, [:pointer], :void
  attach_function :extism_plugin_new, [:pointer, :string, :uint64, :bool], :int32
  # Ruby runs other threads during a call.
  attach_function :extism_plugin_call, [:pointer, :int32, :string, :buffer_in, :uint64], :int32, blocking: true
  attach_function :extism_error, [:pointer, :int32], :string
  attach_function :extism_plugin_output_length, [:pointer, :int32], :uint64
  attach_function :extism_plugin_output_data, [:pointer, :int32], :pointer
  attach_function :extism_plugin_cancel_handle, [:pointer, :int32], :pointer
  attach_function :extism_plugin_cancel, [:pointer], :bool
  attach_function :extism_cancel_handle_free, [:pointer], :void
end

class Plugin
  attr_reader :context, :id

  def initialize(path, keys = {})
    manifest = JSON.generate({ wasm: [{ path: path }] }.merge(keys))
    @context = Extism.extism_context_new
    @id = Extism.extism_plugin_new(@context, manifest, manifest.bytesize, false)
    raise Extism.extism_error(@context, -1) if @id.negative?
  end

  def call(name, input = "")
    Extism.extism_plugin_call(@context, @id, name, input, input.bytesize)
  end

  def error
    Extism.extism_error(@context, @id).to_s
  end

  def output
    length = Extism.extism_plugin_output_length(@context, @id)
    Extism.extism_plugin_output_data(@context, @id).read_bytes(length)
  end

  def free
    Extism.extism_context_free(@context)
  end
end

class HostTest < Minitest::Test
  GUEST = ENV.fetch("EXTISM_GUEST")
  TRAPS = {
    "unreachable" => "unreachable",
    "outside" => "out of bounds",
    "divide" => "divide by zero",
    "recurse" => "call stack exhausted"
  }.freeze

  def setup
    @plugin = Plugin.new(GUEST)
  end

  def teardown
    @plugin.free
  end

  def assert_all_is_well(plugin)
    TRAPS.each do |name, text|
      assert_equal(-1, plugin.call(name))
      assert_includes(plugin.error, text)
      assert_equal(7, plugin.call("fine"))
    end
  end

  def test_answers
    assert(Extism.extism_version.start_with?("0.1."))
    plugin = Plugin.new(ENV.fetch("EXTISM_PLUGIN"))
    assert_equal(0, plugin.call("count_vowels", "hello world"))
    assert_equal(3, JSON.parse(plugin.output)["count"])
    plugin.free
  end

  def test_traps
    assert_all_is_well(@plugin)
  end

  def test_timeout
    plugin = Plugin.new(GUEST, timeout_ms: 50)
    start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    assert_equal(-1, plugin.call("forever"))
    assert_includes(plugin.error, "timeout")
    assert_includes(0.05..5, Process.clock_gettime(Process::CLOCK_MONOTONIC) - start)
    assert_equal(7, plugin.call("fine"))
    plugin.free
  end

  def test_cancel
    handle = Extism.extism_plugin_cancel_handle(@plugin.context, @plugin.id)
    canceller = Thread.new { sleep(0.001) until Extism.extism_plugin_cancel(handle) }
    assert_equal(-1, @plugin.call("forever"))
    assert_includes(@plugin.error, "cancelled")
    canceller.join
    refute(Extism.extism_plugin_cancel(handle), "nothing runs")
    Extism.extism_cancel_handle_free(handle)
    assert_equal(7, @plugin.call("fine"))
  end

  def test_threads_and_the_collector
    threads = Array.new(4) do
      Thread.new do
        plugin = Plugin.new(GUEST)
        20.times { assert_all_is_well(plugin) }
        plugin.free
      end
    end
    GC.start while threads.any?(&:alive?)
    threads.each(&:join)
  end

  def test_the_host_overflows_its_own_stack
    assert_all_is_well(@plugin)
    forever = -> { forever.call }
    # Ruby counts frames for the first overflow, and its handler of SIGSEGV finds the second, which is in C.
    nested = 100_000.times.inject([]) { |inner, _| [inner] }
    2.times do
      assert_raises(SystemStackError) { forever.call }
      assert_raises(SystemStackError) { Marshal.dump(nested) }
      assert_all_is_well(@plugin)
    end
  end

  def test_signals
    assert_all_is_well(@plugin)
    after = []
    trap("USR2") { after << "USR2" }
    Process.kill("USR1", Process.pid)
    Process.kill("USR2", Process.pid)
    sleep(0.01) until SEEN.any? && after.any?
    assert_equal([["USR1"], ["USR2"]], [SEEN, after])
  end

  def test_fork
    skip unless Process.respond_to?(:fork)
    timed = Plugin.new(GUEST, timeout_ms: 50)
    assert_equal(-1, timed.call("forever"))
    child = fork do
      assert_all_is_well(@plugin)
      exit!(timed.call("forever") == -1 && timed.error.include?("timeout") ? 0 : 1)
    end
    Process.wait(child)
    assert(Process.last_status.success?)
    timed.free
  end
end
