#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../archive/shape.hpp"
#include "../archive/type_growth.hpp"
#include "../archive/wire_archive.hpp"
#include "../base/asio.hpp"
#include "../base/type_name.hpp"
#include "../base/visibility.hpp"
#include "../error.hpp"
#include "../fwd.hpp"
#include "../wire/byte_buffer.hpp"

namespace distwork::detail {

class Registry;

/// One registered work type: how to encode, decode and execute it, and the shape of its bytes.
///
/// *Lifetime*: entries live as long as the process.
struct WorkType {
    std::string name;
    const std::type_info* type = nullptr;
    /// The registry that gave it its number. Null if the registry already had a type of that name, of another library.
    const Registry* registry = nullptr;
    /// Its number in that registry: the index in the table that is sent to peers.
    std::uint16_t number = 0;
    /// The line of the header that registers it, which is the same in every library that includes the header. Empty if
    /// it is not registered in a header.
    std::string header_line;
    std::uint64_t (*fingerprint)() = nullptr;

    /// The shapes of the class and of its result. The fingerprint combines theirs.
    std::array<const TypeShape*, 2> (*shapes)() = nullptr;

    /// Appends the work's bytes. Throws Error (too_large; shared_pointer; malformed for an exception of cereal), and
    /// what the class itself throws.
    void (*encode)(const IWork& work, ByteBuffer& body, const ArchiveLimits& limits) = nullptr;

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
    const WorkType& add(WorkType entry) {
        const WorkType* added = nullptr;
        {
            const std::lock_guard lock{mutex_};
            if (const auto found = by_type_.find(entry.type); found != by_type_.end()) {
                if (found->second->name != entry.name)
                    duplicates_.push_back(entry.name + " is registered as " + found->second->name + " too");
                return *found->second;
            }
            const auto named = by_name_.find(entry.name);
            const bool is_new = named == by_name_.end();
            if (!is_new && *named->second->type != *entry.type)
                duplicates_.push_back("two work types are registered as " + entry.name);
            if (is_new && types_.size() == std::numeric_limits<std::uint16_t>::max()) too_many_ = true;
            entry.registry = is_new ? this : nullptr;
            entry.number = static_cast<std::uint16_t>(types_.size());
            added = &entries_.emplace_back(std::move(entry));
            by_type_.emplace(added->type, added);
            if (!is_new) return *added;
            by_name_.emplace(added->name, added);
            types_.push_back(added);
        }
        TypeGrowth::instance().note();
        return *added;
    }

    /// The entry of a class; null if there is none.
    const WorkType* find(const std::type_info& type) const {
        const std::lock_guard lock{mutex_};
        const auto found = by_type_.find(&type);
        return found == by_type_.end() ? nullptr : found->second;
    }

    const WorkType* find(std::string_view name) const {
        const std::lock_guard lock{mutex_};
        const auto found = by_name_.find(std::string{name});
        return found == by_name_.end() ? nullptr : found->second;
    }

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
    /// types are registered).
    void check() const {
        const std::lock_guard lock{mutex_};
        if (too_many_) throw Error::with_text(Errc::bad_option, "more than 65,535 work types are registered");
        if (duplicates_.empty()) return;
        std::string names;
        for (const std::string& name : duplicates_) names += (names.empty() ? "" : ", ") + name;
        throw Error::with_text(Errc::duplicate_type, names);
    }

private:
    Registry() = default;

    const WorkType& own_of_foreign(const WorkType& type) const {
        const WorkType* const named = find(type.name);
        if (!named)
            throw Error::with_text(Errc::foreign_type,
                                   type.name +
                                       ": the library that registered it has a registry of its own, and the registry "
                                       "of this role has no type of that name; link the program with -rdynamic (CMake: "
                                       "ENABLE_EXPORTS)");
        if (!type.registry && (type.header_line.empty() || type.header_line != named->header_line))
            throw Error::with_text(
                Errc::foreign_type,
                type.name + ": another library of this process has already registered a type of that name");
        if (named->fingerprint() != type.fingerprint())
            throw Error::with_text(
                Errc::foreign_type,
                type.name + ": another library of this process has a type of that name with another shape");
        return *named;
    }

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

inline Error unregistered(const std::string& macro, const std::string& name) {
    return Error::with_text(Errc::unregistered_type, name + " is not registered: write " + macro + '(' + name +
                                                         ") at global scope, in a header that both programs include");
}

/// The entry for an object's dynamic type. Throws Error (unregistered_type; foreign_type if only a private class of
/// another library with the same name is registered).
inline const WorkType& work_type_of(const std::type_info& dynamic_type) {
    if (const WorkType* type = Registry::instance().find(dynamic_type)) return *type;
    for (const WorkType* type : Registry::instance().types())
        if (*type->type == dynamic_type)
            throw Error::with_text(Errc::foreign_type,
                                   type->name + " is registered only as a private class of another library");
    throw unregistered("DISTWORK_REGISTER_WORK", type_name(dynamic_type));
}

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
