#pragma once

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <typeindex>
#include <utility>
#include <vector>

#include "../archive/polymorphic_types.hpp"
#include "../archive/shape.hpp"
#include "../archive/type_growth.hpp"
#include "../base/type_name.hpp"
#include "../wire/plain_fields.hpp"
#include "registry.hpp"

namespace distwork::detail {

/// The types of a registry at one moment, with everything that peers are told about them.
struct TypeTable {
    std::vector<const WorkType*> types;                        ///< by number
    std::vector<std::uint64_t> fingerprints;                   ///< of the types, by number
    std::vector<std::pair<std::string, std::uint64_t>> parts;  ///< polymorphic classes: name and fingerprint
    std::vector<std::vector<std::size_t>> parts_of;            ///< for each type: the parts that it may hold
    std::vector<std::string> opaque;                           ///< classes not described completely, with the reason
    std::uint64_t growth = 0;                                  ///< TypeGrowth::count() before the table was made
};

/// Blocks while another thread is opening a library. The functions of a type that the library has registered may need
/// objects that it has not constructed yet. Every call to the dynamic loader waits for this, so dladdr is called.
inline void await_opening() noexcept {
    Dl_info ignored;
    static_cast<void>(dladdr(&this_library, &ignored));
}

/// Makes a TypeTable. It follows pointers to polymorphic classes to all registered classes whose objects may be behind
/// them.
class TypeTableMaker {
public:
    explicit TypeTableMaker(std::vector<const WorkType*> types) : loaders_{PolymorphicTypes::instance().loaders()} {
        for (const WorkType* type : types) {
            table_.fingerprints.push_back(type->fingerprint());
            std::set<std::size_t> parts;
            for (const TypeShape* shape : type->shapes()) follow(*shape, parts);
            table_.parts_of.emplace_back(parts.begin(), parts.end());
        }
        table_.types = std::move(types);
        table_.opaque.assign(opaque_.begin(), opaque_.end());
    }

    TypeTable take() { return std::move(table_); }

private:
    /// Adds to `parts` every class that an object of this shape may hold, directly or through other parts.
    void follow(const TypeShape& shape, std::set<std::size_t>& parts) {
        opaque_.insert(shape.opaque.begin(), shape.opaque.end());
        for (const TypeShape::Base& base : shape.bases)
            for (const std::size_t part : behind(base))
                if (parts.insert(part).second) follow(*shapes_[part], parts);
    }

    /// The classes whose objects may be behind a pointer to `base`.
    const std::vector<std::size_t>& behind(const TypeShape::Base& base) {
        const auto [found, is_new] = behind_.try_emplace(*base.type);
        if (!is_new) return found->second;
        std::vector<std::size_t>& parts = found->second;
        if (base.shape) parts.push_back(part(type_name(*base.type), base.shape()));
        for (const PolymorphicLoader* loader : loaders_)
            if (derives_from(*loader->type, *base.type)) parts.push_back(part(loader->name, loader->shape()));
        return parts;
    }

    /// The index of a class in TypeTable::parts, to which it is added if it is new.
    std::size_t part(const std::string& name, const TypeShape& shape) {
        const auto [found, is_new] = numbers_.try_emplace({name, shape.fingerprint}, shapes_.size());
        if (is_new) {
            shapes_.push_back(&shape);
            table_.parts.emplace_back(name.substr(0, max_name_bytes), shape.fingerprint);
        }
        return found->second;
    }

    const std::vector<const PolymorphicLoader*> loaders_;
    TypeTable table_;
    std::vector<const TypeShape*> shapes_;  // of the parts
    std::map<std::pair<std::string, std::uint64_t>, std::size_t> numbers_;
    std::map<std::type_index, std::vector<std::size_t>> behind_;
    std::set<std::string> opaque_;
};

/// The types of one role: the registry that its constructor saw, and the table that is sent to its peers.
///
/// *Thread-safety*: all functions.
class RoleTypes {
public:
    RoleTypes() = default;

    Registry& registry() const noexcept { return registry_; }

    /// Notifies `observer` of types that libraries register from now on, until `forget` is called.
    void observe(RegistryObserver& observer) { growth_.observe(observer); }
    void forget(RegistryObserver& observer) noexcept { growth_.forget(observer); }

    /// The current table. It is made at the first call, and again when types were registered since. Making it blocks
    /// while another thread opens a library.
    std::shared_ptr<const TypeTable> table() {
        const std::lock_guard lock{mutex_};
        if (table_ && is_current(*table_)) return table_;
        await_opening();
        const std::uint64_t growth = growth_.count();
        TypeTable table = TypeTableMaker{registry_.types()}.take();
        table.growth = growth;
        return table_ = std::make_shared<const TypeTable>(std::move(table));
    }

    bool is_current(const TypeTable& table) const noexcept { return table.growth == growth_.count(); }

    /// The classes that could not be described completely and were not returned before, with the reasons: for the log.
    std::vector<std::string> take_opaque() {
        const std::lock_guard lock{mutex_};
        std::vector<std::string> fresh;
        if (!table_) return fresh;
        for (const std::string& text : table_->opaque)
            if (logged_.insert(text).second) fresh.push_back(text);
        return fresh;
    }

private:
    Registry& registry_ = Registry::instance();
    TypeGrowth& growth_ = TypeGrowth::instance();

    std::mutex mutex_;
    // guarded by mutex_
    std::shared_ptr<const TypeTable> table_;
    std::set<std::string> logged_;
};

}  // namespace distwork::detail
