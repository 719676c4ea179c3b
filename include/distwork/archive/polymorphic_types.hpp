#pragma once

#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <typeindex>
#include <typeinfo>
#include <vector>

#include "../base/cereal.hpp"
#include "../base/separate.hpp"
#include "../base/visibility.hpp"

namespace distwork::detail {

struct TypeShape;

// The functions that cereal calls with one of our archives.
using LoadShared = void (*)(void* archive, std::shared_ptr<void>& to, const std::type_info& base);
using LoadUnique = void (*)(void* archive, std::unique_ptr<void, cereal::detail::EmptyDeleter<void>>& to,
                            const std::type_info& base);
using SavePointer = void (*)(void* archive, const void* object, const std::type_info& base);

/// How objects of a polymorphic class are decoded when the class is given by name. See archive_polymorphic.hpp for the
/// functions.
struct PolymorphicLoader {
    std::string name;
    const std::type_info* type = nullptr;
    const void* library = nullptr;  ///< the library that registered it: the address of its `this_library`
    LoadShared load_shared = nullptr;
    LoadUnique load_unique = nullptr;
    const TypeShape& (*shape)() = nullptr;
};

/// How objects of a polymorphic class are encoded.
struct PolymorphicSaver {
    const char* type_name = nullptr;  ///< of its type_info; the address distinguishes classes of the same name
    SavePointer save_shared = nullptr;
    SavePointer save_unique = nullptr;
};

/// The classes that were registered with cereal, for our archives. It replaces cereal's tables, which have no lock, and
/// of which a library with hidden symbols has its own.
///
/// Two libraries may each have a private class of the same name. An object is encoded by the functions of the library
/// that its class belongs to, whichever library's code runs: another library may have the same function and export it.
/// When only the name is known, each of the two libraries finds its own class, and all others find neither.
///
/// *Thread-safety*: all functions; classes may be registered while objects are decoded. *Lifetime*: entries live as
/// long as the process.
class DISTWORK_EXPORT PolymorphicTypes {
public:
    static PolymorphicTypes& instance() {
        static PolymorphicTypes types;
        return types;
    }

    void add(PolymorphicLoader loader);
    void add(const std::type_info& type, PolymorphicSaver saver);

    /// The class of that name that `library` registered; else the only class of that name; else null.
    const PolymorphicLoader* loader(const std::string& name, const void* library) const;

    /// The entry of the class itself; else the only one that compares equal; else null. g++ merges the registrations of
    /// exported classes of one name, but not their type_infos.
    const PolymorphicSaver* saver(const std::type_index& type) const;

    /// All classes that can be decoded, ordered by name.
    std::vector<const PolymorphicLoader*> loaders() const;

private:
    PolymorphicTypes() = default;

    mutable std::shared_mutex mutex_;
    // guarded by mutex_
    std::multimap<std::string, PolymorphicLoader> loaders_;
    std::multimap<std::type_index, PolymorphicSaver> savers_;
};

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/polymorphic_types.ipp"
#endif
