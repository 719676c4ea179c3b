#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <typeindex>
#include <typeinfo>
#include <utility>

#include "../archive/fingerprint_archive.hpp"
#include "../base/type_name.hpp"

namespace distwork::detail {

DISTWORK_DECL TypeShape FingerprintArchive::result() {
    return {hash_.result(), std::move(bases_), std::move(opaque_)};
}

DISTWORK_DECL bool FingerprintArchive::is_open(std::type_index type) {
    const auto found = std::find(open_.begin(), open_.end(), type);
    if (found == open_.end()) return false;
    add(ShapeWord::back_reference, static_cast<std::uint64_t>(found - open_.begin()));
    return true;
}

DISTWORK_DECL std::uint32_t FingerprintArchive::open(std::type_index type, std::uint32_t version) {
    add(ShapeWord::object, version);
    open_.push_back(type);
    return std::exchange(version_, version);
}

DISTWORK_DECL void FingerprintArchive::close(std::uint32_t outer_version) {
    open_.pop_back();
    version_ = outer_version;
    add(ShapeWord::object_end);
}

DISTWORK_DECL void FingerprintArchive::add_thrown(const std::type_info& type) {
    throw_if_out_of_memory();
    const ExceptionText thrown = detail::describe(std::current_exception());
    add_opaque(type, "it threw " + thrown.type + ": " + thrown.text);
}

DISTWORK_DECL void FingerprintArchive::throw_if_out_of_memory() const {
    try {
        throw;
    } catch (const std::bad_alloc&) {
        if (!second_try_) throw;
    } catch (...) {
    }
}

DISTWORK_DECL void FingerprintArchive::add_opaque(const std::type_info& type, const std::string& why) {
    add(ShapeWord::opaque);
    std::string text = type_name(type) + " (" + why + ')';
    if (std::find(opaque_.begin(), opaque_.end(), text) == opaque_.end()) opaque_.push_back(std::move(text));
}

}  // namespace distwork::detail
