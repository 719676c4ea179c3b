#include "failing_new.hpp"

#include <cxxabi.h>
#include <dlfcn.h>
#include <unwind.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <mutex>
#include <new>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace failing_new {
namespace {

constexpr std::size_t most_frames = 200;

std::atomic<bool> counts{false};
std::atomic<std::size_t> number{0};
std::atomic<std::size_t> first_to_fail{0};
std::atomic<std::size_t> left_to_fail{0};
std::atomic<std::size_t> have_failed{0};
std::atomic<std::size_t> classified{0};
std::vector<Whose> all;  // by number
thread_local bool inside = false;

struct Inside {
    Inside() { inside = true; }
    ~Inside() { inside = false; }
};

struct Stack {
    std::array<void*, most_frames> frames;
    std::size_t size = 0;
};

_Unwind_Reason_Code add_frame(_Unwind_Context* context, void* to) {
    auto& stack = *static_cast<Stack*>(to);
    if (stack.size == most_frames) return _URC_END_OF_STACK;
    stack.frames[stack.size++] = reinterpret_cast<void*>(_Unwind_GetIP(context) - 1);
    return _URC_NO_REASON;
}

Stack take_stack() {
    Stack stack;
    _Unwind_Backtrace(&add_frame, &stack);
    return stack;
}

std::string name_of(void* frame) {
    Dl_info info{};
    if (!dladdr(frame, &info) || !info.dli_sname) return {};
    int status = 0;
    char* const demangled = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
    std::string name = status == 0 ? demangled : info.dli_sname;
    std::free(demangled);
    return name;
}

/// Without what it returns, and its arguments: the function's own name, up to its first template arguments.
std::string_view own_name(std::string_view name) {
    // "R ns::f<…>(…)": R may have spaces and brackets of its own.
    std::size_t begin = 0;
    int depth = 0;
    for (std::size_t i = 0; i < name.size(); ++i) {
        const char c = name[i];
        if (c == '<') ++depth;
        if (c == '>') --depth;
        if (c == '(' && depth == 0) break;
        if (c == ' ' && depth == 0) begin = i + 1;
    }
    return name.substr(begin);
}

enum class Kind { skipped, allocates, library, simulator, other, asio };

/// What Asio 1.22 does not survive, whoever fails: it allocates where it promised to throw nothing, or lets what throws
/// destroy a coroutine.
bool is_deadly(std::string_view name) {
    for (const std::string_view part : {"::prefer", "await_suspend", "awaitable_frame_base", "awaitable_thread",
                                        "co_spawn_entry_point", "strand_executor_service", "strand_service"})
        if (name.find(part) != std::string_view::npos) return true;
    return false;
}

Kind kind_of(void* frame) {
    static std::unordered_map<void*, Kind> known;
    static std::mutex mutex;
    const std::lock_guard lock{mutex};
    const auto found = known.find(frame);
    if (found != known.end()) return found->second;
    const std::string name = name_of(frame);
    const std::string_view own = own_name(name);
    Kind kind = Kind::other;
    if (own.starts_with("distwork::sim::")) kind = Kind::simulator;
    else if (own.starts_with("distwork::")) kind = Kind::library;
    else if (own.starts_with("asio::") || own.starts_with("asio_")) kind = is_deadly(own) ? Kind::asio : Kind::skipped;
    else if (own.starts_with("std::") || own.starts_with("__gnu_cxx::") || own.starts_with("cereal::"))
        kind = Kind::skipped;
    else if (name.starts_with("operator new")) kind = Kind::allocates;
    return known[frame] = kind;
}

Whose whose_is(const Stack& stack) {
    const auto frames = std::span{stack.frames}.first(stack.size);
    std::size_t at = 0;
    while (at != frames.size() && kind_of(frames[at]) != Kind::allocates) ++at;
    bool is_deadly_for_asio = false;
    for (; at != frames.size(); ++at) {
        const Kind kind = kind_of(frames[at]);
        if (kind == Kind::asio) is_deadly_for_asio = true;
        if (kind == Kind::library) return is_deadly_for_asio ? Whose::asio : Whose::library;
        if (kind == Kind::simulator || kind == Kind::other) break;
    }
    return Whose::other;
}

Stack last;

std::string text_of(const Stack& stack) {
    std::string text;
    for (void* const frame : std::span{stack.frames}.first(stack.size))
        text += "    " + name_of(frame).substr(0, 240) + '\n';
    return text;
}

/// An exception where none may be: tells whose.
const auto before = std::set_terminate([] {
    counts = false;
    std::cerr << "terminated at\n" << text_of(take_stack()) << "after\n" << text_of(last);
    std::abort();
});

bool fails() {
    if (!counts.load(std::memory_order_relaxed) || inside) return false;
    const Inside guard;
    const std::size_t now = ++number;
    if (now <= classified.load(std::memory_order_relaxed)) all[now] = whose_is(take_stack());
    if (now < first_to_fail.load(std::memory_order_relaxed) || left_to_fail.load() == 0) return false;
    const Stack stack = take_stack();
    if (whose_is(stack) != Whose::library) return false;
    if (left_to_fail.fetch_sub(1) == 0) return left_to_fail.store(0), false;
    last = stack;
    ++have_failed;
    return true;
}

void begin(std::size_t first, std::size_t most) {
    number = have_failed = 0;
    first_to_fail = first;
    left_to_fail = most;
    counts = true;
}

void* allocate(std::size_t size, std::size_t alignment = 0) {
    if (fails()) return nullptr;
    if (size == 0) size = 1;
    return alignment ? std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment)
                     : std::malloc(size);
}

void* allocate_or_throw(std::size_t size, std::size_t alignment = 0) {
    if (void* const memory = allocate(size, alignment)) return memory;
    throw std::bad_alloc{};
}

}  // namespace

void count() {
    begin(0, 0);
}
void fail(std::size_t first, std::size_t most) {
    begin(first, most);
}
void rest() {
    counts = false;
    classified = 0;
}
std::size_t counted() {
    return number;
}
std::size_t failed() {
    return have_failed;
}
void classify(std::size_t most) {
    all.assign(most + 1, Whose::other);
    classified = most;
    begin(0, 0);
}
Whose whose(std::size_t at) {
    return at < all.size() ? all[at] : Whose::other;
}
std::string last_stack() {
    return text_of(last);
}

}  // namespace failing_new

void* operator new(std::size_t size) {
    return failing_new::allocate_or_throw(size);
}
void* operator new[](std::size_t size) {
    return failing_new::allocate_or_throw(size);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return failing_new::allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
    return failing_new::allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return failing_new::allocate(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return failing_new::allocate(size);
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete[](void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}
