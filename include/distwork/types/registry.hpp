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

/// What is known of one registered work type: how to write it, how to execute it, what its bytes look like.
/// Entries live as long as the process.
struct WorkType {
    std::string name;
    const std::type_info* type = nullptr;
    /// The registry that numbered it; null: none did, for it has a type of that name already, of another library.
    const Registry* registry = nullptr;
    /// That registry's number for it: the index in the table that peers are sent.
    std::uint16_t number = 0;
    /// The line of a header that registers it, in every library that includes the header; else empty.
    std::string header_line;
    std::uint64_t (*fingerprint)() = nullptr;

    /// The shapes of the class and of the value that comes back: the fingerprint is made of theirs.
    std::array<const TypeShape*, 2> (*shapes)() = nullptr;

    /// Appends the work's bytes. Throws Error (too_large, shared_pointer) naming the type.
    void (*encode)(const IWork& work, ByteBuffer& body, const ArchiveLimits& limits) = nullptr;

    /// Makes an object of its bytes. Throws Error (malformed, too_large).
    std::unique_ptr<IWork> (*decode)(std::span<const std::byte> body, const ArchiveLimits& limits) = nullptr;

    /// Decodes a fresh object, executes it and appends the value's bytes to `answer`. Returns what the work threw;
    /// throws Error where bytes do not decode (malformed) or the value does not encode (too_large).
    std::exception_ptr (*execute)(std::span<const std::byte> body, Context& peer, ByteBuffer& answer,
                                  const ArchiveLimits& limits) = nullptr;

    /// The same for a coroutine; null for works that are none. All references must outlive the coroutine.
    asio::awaitable<std::exception_ptr> (*execute_async)(std::span<const std::byte> body, Context& peer,
                                                         ByteBuffer& answer, const ArchiveLimits& limits) = nullptr;

    /// Decodes the value and calls execute_return on the original; null where the type has none of its own.
    void (*execute_return)(IWork& work, std::span<const std::byte> value, Context& peer,
                           const ArchiveLimits& limits) = nullptr;
};

/// The process's table of work types, filled by the registration macros before main, or when a library is loaded.
///
/// There is one, exported from the program and its libraries. Where the program hides it (a plugin opened by dlopen in a
/// host that was not linked with -rdynamic) there are two, and a number of the one means nothing in the other. So each
/// role uses the registry of its constructor, and `own` finds the entry there for a type that comes from elsewhere.
///
/// Classes are told apart by the address of their type_info: two libraries that each hide a class of one name have two
/// of them, which compare equal.
///
/// *Thread-safety*: all functions.
class DISTWORK_EXPORT Registry {
public:
    static Registry& instance() {
        static Registry registry;
        return registry;
    }

    /// Enters a type; the same class again is the entry that is there. A second type of one name, and a class under two
    /// names, are remembered, and thrown by the next role's constructor: at registration, before main, nobody could
    /// catch it. A class of the same name that another library has for itself gets no number: see `own`.
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

    /// Null if there is none.
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

    /// This registry's entry for a type. One of another registry is looked up by name and fingerprint; so is one that a
    /// library has for itself, if the same line of the same header registered both. Throws Error (foreign_type).
    const WorkType& own(const WorkType& type) const {
        if (type.registry == this) [[likely]]
            return type;
        return own_of_foreign(type);
    }

    /// All types by number.
    std::vector<const WorkType*> types() const {
        const std::lock_guard lock{mutex_};
        return types_;
    }

    std::size_t size() const {
        const std::lock_guard lock{mutex_};
        return types_.size();
    }

    /// Throws Error: duplicate_type, naming the types; bad_option when there are more than 65,535.
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
                                       ": the library that registered it sees a registry of its own, and this role's "
                                       "has no type of that name; link the program with -rdynamic (CMake: "
                                       "ENABLE_EXPORTS)");
        if (!type.registry && (type.header_line.empty() || type.header_line != named->header_line))
            throw Error::with_text(
                Errc::foreign_type,
                type.name + ": another library of this process registered a type of that name before");
        if (named->fingerprint() != type.fingerprint())
            throw Error::with_text(
                Errc::foreign_type,
                type.name + ": another library of this process has a type of that name and another shape");
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

/// Set when `Work` is registered, so that a call needs no look-up. Each library has its own.
template <class Work>
DISTWORK_HIDDEN inline constinit std::atomic<const WorkType*> registered_type{nullptr};

inline Error unregistered(const std::string& macro, const std::string& name) {
    return Error::with_text(Errc::unregistered_type, name + " is not registered: write " + macro + '(' + name +
                                                         ") at global scope, in a header that both programs include");
}

/// The table's entry for an object's dynamic type. Throws Error (unregistered_type; foreign_type where only a class of
/// another library is registered that has the same name).
inline const WorkType& work_type_of(const std::type_info& dynamic_type) {
    if (const WorkType* type = Registry::instance().find(dynamic_type)) return *type;
    for (const WorkType* type : Registry::instance().types())
        if (*type->type == dynamic_type)
            throw Error::with_text(Errc::foreign_type, type->name + " is registered by another library, for itself");
    throw unregistered("DISTWORK_REGISTER_WORK", type_name(dynamic_type));
}

/// The table's entry for a class. Throws likewise.
template <class Work>
const WorkType& work_type() {
    if (const WorkType* type = registered_type<Work>.load(std::memory_order_relaxed)) return *type;
    if constexpr (requires { Work::function_name(); })
        if (!Registry::instance().find(typeid(Work)))
            throw unregistered("DISTWORK_REGISTER_FUNCTION", std::string{Work::function_name()});
    return work_type_of(typeid(Work));
}

}  // namespace distwork::detail
