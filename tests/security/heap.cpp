// Counts what this program allocates.
#include "support/heap.hpp"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "support/sanitizers.hpp"

namespace {

std::atomic<std::size_t> bytes{0};
std::atomic<std::size_t> peak{0};

}  // namespace

std::size_t support::heap_bytes() noexcept {
    return bytes;
}
std::size_t support::heap_peak() noexcept {
    return peak;
}
void support::forget_heap_peak() noexcept {
    peak = bytes.load();
}

// A sanitizer has its own. The other forms of the language call these.
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__) && !SUPPORT_HAS_FEATURE(address_sanitizer)
void* operator new(std::size_t size) {
    void* const block = std::malloc(size == 0 ? 1 : size);
    if (!block) throw std::bad_alloc{};
    const std::size_t now = bytes += malloc_usable_size(block);
    for (std::size_t before = peak; before < now && !peak.compare_exchange_weak(before, now);) {
    }
    return block;
}
void operator delete(void* block) noexcept {
    if (!block) return;
    bytes -= malloc_usable_size(block);
    std::free(block);
}
void operator delete(void* block, std::size_t) noexcept {
    operator delete(block);
}
#endif
