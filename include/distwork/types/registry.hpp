#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>
#include <unordered_map>
#include <vector>

#include "../archive/shape.hpp"
#include "../archive/wire_archive.hpp"
#include "../base/asio.hpp"
#include "../base/separate.hpp"
#include "../base/visibility.hpp"
#include "../error.hpp"
#include "../fwd.hpp"
#include "../wire/byte_buffer.hpp"

namespace distwork::detail {

class Registry;

/// What is done with the works of one class: the functions that know the class.
struct WorkOperations {
    std::uint64_t (*fingerprint)() = nullptr;

    /// The shapes of the class and of its result. The fingerprint combines theirs.
    std::array<const TypeShape*, 2> (*shapes)() = nullptr;

    /// Appends the work's bytes. Returns whether equal works have equal bytes. Throws Error (too_large; shared_pointer;
    /// malformed for an exception of cereal), and what the class itself throws.
    bool (*encode)(const IWork& work, ByteBuffer& body, const ArchiveLimits& limits) = nullptr;

    /// Makes an object from its bytes. Throws Error (malformed, too_large).
    std::unique_ptr<IWork> (*decode)(std::span<const std::byte> body, const ArchiveLimits& limits) = nullptr;

    /// Decodes a new object, executes it, and appends the bytes of the result to `answer`. Returns the exception that
    /// the work threw, else null. Throws Error if the work cannot be decoded (malformed, too_large) or its result
    /// cannot be encoded (too_large, shared_pointer, malformed). Null for coroutine works.
    std::exception_ptr (*execute)(std::span<const std::byte> body, Context& peer, ByteBuffer& answer,
                                  const ArchiveLimits& limits) = nullptr;

    /// The same for a coroutine work; null for other works. All references must outlive the coroutine.
    asio::awaitable<std::exception_ptr> (*execute_async)(std::span<const std::byte> body, Context& peer,
                                                         ByteBuffer& answer, const ArchiveLimits& limits) = nullptr;

    /// Decodes the result and calls execute_return on the original object. Null if the class does not override it.
    void (*execute_return)(IWork& work, std::span<const std::byte> value, Context& peer,
                           const ArchiveLimits& limits) = nullptr;
};

/// One registered work type.
///
/// *Lifetime*: entries live as long as the process.
struct WorkType : WorkOperations {
    std::string name;
    const std::type_info* type = nullptr;
    /// The line of the header that registers it, which is the same in every library that includes the header. Empty if
    /// it is not registered in a header.
    std::string header_line;
    /// The registry that gave it its number. Null if the registry already had a type of that name, of another library.
    const Registry* registry = nullptr;
    /// Its number in that registry: the index in the table that is sent to peers.
    std::uint16_t number = 0;
};

/// The table of the work types of this process. The registration macros fill it before main, or when a library is
/// loaded.
///
/// A process has one registry, exported from the program and its libraries. If the program hides it, there are two:
/// this happens with a plugin that is opened by dlopen in a program that was not linked with -rdynamic. A number of one
/// registry means nothing in the other. So each role uses the registry that its constructor saw, and `own` finds the
/// entry there for a type of another registry.
///
/// Classes are distinguished by the address of their type_info. Two libraries that each hide a class of the same name
/// have two type_infos that compare equal.
///
/// *Thread-safety*: all functions.
class DISTWORK_EXPORT Registry {
public:
    static Registry& instance() {
        static Registry registry;
        return registry;
    }

    /// Adds a type. Registering the same class again returns the existing entry.
    ///
    /// Two types of one name, and a class under two names, are errors. They are kept for `check`, which the
    /// constructors of roles call: registration runs before main, where nobody could catch an exception. If another
    /// library has a private class of the same name, the entry gets no number: see `own`.
    [[gnu::cold]] const WorkType& add(const std::type_info& type, const WorkOperations& operations, const char* name,
                                      const char* header_line = "");

    /// The entry of a class; null if there is none.
    const WorkType* find(const std::type_info& type) const;
    const WorkType* find(std::string_view name) const;

    /// This registry's entry for a type. A type of another registry is looked up by name and fingerprint. So is a
    /// private class of another library, if the same line of the same header registered both. Throws Error
    /// (foreign_type).
    const WorkType& own(const WorkType& type) const {
        if (type.registry == this) [[likely]]
            return type;
        return own_of_foreign(type);
    }

    /// All types, by number.
    std::vector<const WorkType*> types() const {
        const std::lock_guard lock{mutex_};
        return types_;
    }

    std::size_t size() const {
        const std::lock_guard lock{mutex_};
        return types_.size();
    }

    /// Throws the errors of registration: Error (duplicate_type, which names the types; bad_option if more than 65,535
    /// types are registered, or one whose name has more than 256 bytes).
    void check() const;

private:
    Registry() = default;

    const WorkType& own_of_foreign(const WorkType& type) const;

    mutable std::mutex mutex_;
    // guarded by mutex_
    std::deque<WorkType> entries_;
    std::vector<const WorkType*> types_;  // by number
    std::unordered_map<const std::type_info*, const WorkType*> by_type_;
    std::unordered_map<std::string, const WorkType*> by_name_;
    std::vector<std::string> duplicates_;
    bool too_many_ = false;
};

/// The entry of `Work`, set when it is registered, so that a call needs no look-up. Each library has its own variable.
template <class Work>
DISTWORK_HIDDEN inline constinit std::atomic<const WorkType*> registered_type{nullptr};

DISTWORK_DECL Error unregistered(const std::string& macro, const std::string& name);

/// The entry for an object's dynamic type. Throws Error (unregistered_type; foreign_type if only a private class of
/// another library with the same name is registered).
DISTWORK_DECL const WorkType& work_type_of(const std::type_info& dynamic_type);

/// The entry for a class. Throws Error (unregistered_type, foreign_type), as work_type_of does.
template <class Work>
const WorkType& work_type() {
    if (const WorkType* type = registered_type<Work>.load(std::memory_order_relaxed)) return *type;
    if constexpr (requires { Work::function_name(); })
        if (!Registry::instance().find(typeid(Work)))
            throw unregistered("DISTWORK_REGISTER_FUNCTION", std::string{Work::function_name()});
    return work_type_of(typeid(Work));
}

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/registry.ipp"
#endif
