#pragma once

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
#include <typeindex>
#include <typeinfo>
#include <unordered_map>
#include <vector>

#include "archive.hpp"
#include "byte_buffer.hpp"
#include "detail/asio.hpp"
#include "detail/type_name.hpp"
#include "error.hpp"

namespace distwork {

class Context;
class IWork;

/// What is known of one registered work type: how to write it, how to execute it, what its bytes look like.
/// Entries live as long as the process.
struct WorkType {
    std::string name;
    const std::type_info* type = nullptr;
    /// This process's number for it: the index in the table that peers are sent.
    std::uint16_t number = 0;
    std::uint64_t (*fingerprint)() = nullptr;

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
/// *Thread-safety*: all functions. Cereal's own tables have no lock: nothing may register while something decodes.
class Registry {
public:
    static Registry& instance() {
        static Registry registry;
        return registry;
    }

    /// Enters a type; the same type again is the entry that is there. A second type of one name is remembered, and
    /// thrown by the next role's constructor: at registration, before main, nobody could catch it.
    const WorkType& add(WorkType entry) {
        const std::lock_guard lock{mutex_};
        if (const auto found = by_type_.find(*entry.type); found != by_type_.end()) return *found->second;
        if (types_.size() == std::numeric_limits<std::uint16_t>::max()) too_many_ = true;
        if (by_name_.contains(entry.name)) duplicates_.push_back(entry.name);
        entry.number = static_cast<std::uint16_t>(types_.size());
        const WorkType& added = types_.emplace_back(std::move(entry));
        by_type_.emplace(*added.type, &added);
        by_name_.emplace(added.name, &added);
        return added;
    }

    /// Null if there is none.
    const WorkType* find(const std::type_info& type) const {
        const std::lock_guard lock{mutex_};
        const auto found = by_type_.find(type);
        return found == by_type_.end() ? nullptr : found->second;
    }

    const WorkType* find(std::string_view name) const {
        const std::lock_guard lock{mutex_};
        const auto found = by_name_.find(std::string{name});
        return found == by_name_.end() ? nullptr : found->second;
    }

    /// All types by number.
    std::vector<const WorkType*> types() const {
        const std::lock_guard lock{mutex_};
        std::vector<const WorkType*> all;
        all.reserve(types_.size());
        for (const WorkType& type : types_) all.push_back(&type);
        return all;
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
        throw Error{Errc::duplicate_type, names};
    }

private:
    Registry() = default;

    mutable std::mutex mutex_;
    // guarded by mutex_
    std::deque<WorkType> types_;
    std::unordered_map<std::type_index, const WorkType*> by_type_;
    std::unordered_map<std::string, const WorkType*> by_name_;
    std::vector<std::string> duplicates_;
    bool too_many_ = false;
};

namespace detail {

/// Set when `Work` is registered, so that a call needs no look-up.
template <class Work>
inline const WorkType* registered_type = nullptr;

}  // namespace detail

/// The table's entry for a class. Throws Error (unregistered_type).
template <class Work>
const WorkType& work_type() {
    if (const WorkType* type = detail::registered_type<Work>) return *type;
    throw Error{Errc::unregistered_type, detail::type_name(typeid(Work))};
}

/// The table's entry for an object's dynamic type. Throws Error (unregistered_type).
inline const WorkType& work_type_of(const std::type_info& dynamic_type) {
    if (const WorkType* type = Registry::instance().find(dynamic_type)) return *type;
    throw Error{Errc::unregistered_type, detail::type_name(dynamic_type)};
}

}  // namespace distwork
