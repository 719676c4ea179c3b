#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>

#include "../base/cereal.hpp"
#include "../base/visibility.hpp"

namespace distwork::detail {
class WireOutputArchive;
}

namespace distwork::detail {

/// The class whose shape is being computed in this thread: "… [with T = app::Thing]". If the class crashes, a debugger
/// or a core file shows here which one it was.
DISTWORK_EXPORT inline constinit thread_local const char* volatile probed_class = nullptr;

template <class T>
constexpr const char* spelled() {
    return __PRETTY_FUNCTION__;
}

/// Marks class T as the one that is being probed, as long as this object lives.
template <class T>
class Probing {
public:
    Probing() noexcept { probed_class = spelled<T>(); }
    Probing(const Probing&) = delete;
    ~Probing() { probed_class = outer_; }

private:
    const char* const outer_ = probed_class;
};

/// Sets a value to what loading zeros would leave in it.
template <class T>
void make_zero(T& value) {
    if constexpr (std::is_array_v<T>) {
        for (auto& element : value) make_zero(element);
    } else if constexpr (std::is_default_constructible_v<T> && std::is_move_assignable_v<T>) {
        value = T{};
    }
}

/// The type that the save_minimal of a class returns, if the class has one.
template <class T>
struct MinimalType {
    static constexpr bool versioned = false;
};
template <class T>
requires cereal::traits::has_member_save_minimal<T, WireOutputArchive>::value struct MinimalType<T>
    : cereal::traits::has_member_save_minimal<T, WireOutputArchive> {
    static constexpr bool versioned = false;
};
template <class T>
requires cereal::traits::has_non_member_save_minimal<T, WireOutputArchive>::value struct MinimalType<T>
    : cereal::traits::has_non_member_save_minimal<T, WireOutputArchive> {
    static constexpr bool versioned = false;
};
template <class T>
requires cereal::traits::has_member_versioned_save_minimal<T, WireOutputArchive>::value struct MinimalType<T>
    : cereal::traits::has_member_versioned_save_minimal<T, WireOutputArchive> {
    static constexpr bool versioned = true;
};
template <class T>
requires cereal::traits::has_non_member_versioned_save_minimal<T, WireOutputArchive>::value struct MinimalType<T>
    : cereal::traits::has_non_member_versioned_save_minimal<T, WireOutputArchive> {
    static constexpr bool versioned = true;
};

template <class T>
inline constexpr bool is_minimal = requires {
    typename MinimalType<T>::type;
};

/// Runs the load_and_construct of class T, and destroys the object if one was constructed.
template <class T, class Archive, class Run>
void probe_load_and_construct(Run run) {
    using Wrapper = cereal::memory_detail::LoadAndConstructLoadWrapper<Archive, T>;
    struct Destroyed {
        Wrapper& wrapper;
        ~Destroyed() {
            try {
                std::destroy_at(wrapper.construct.ptr());
            } catch (const cereal::Exception&) {  // nothing was constructed
            }
        }
    };
    alignas(T) std::byte storage[sizeof(T)];
    Wrapper wrapper{reinterpret_cast<T*>(storage)};
    const Destroyed destroyed{wrapper};
    run(wrapper);
}

}  // namespace distwork::detail
