#pragma once

#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <typeinfo>
#include <utility>

#include "../base/type_name.hpp"

#if __has_include(<cxxabi.h>)
#include <cxxabi.h>
#define DISTWORK_HAS_CXXABI 1
#endif

namespace distwork::detail {

DISTWORK_DECL std::string type_name(const std::type_info& type) {
#ifdef DISTWORK_HAS_CXXABI
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> name{abi::__cxa_demangle(type.name(), nullptr, nullptr, &status),
                                                           &std::free};
    if (name) return name.get();
#endif
    return type.name();
}

DISTWORK_DECL ExceptionText describe(const std::exception_ptr& exception) {
    const auto or_null = [](const char* text) { return text ? text : "a null pointer instead of a text"; };
    try {
        std::rethrow_exception(exception);
    } catch (const std::exception& error) {
        return {type_name(typeid(error)), or_null(error.what())};
    } catch (const std::string& text) {
        return {"std::string", text};
    } catch (const char* text) {
        return {"const char*", or_null(text)};
    } catch (...) {
#ifdef DISTWORK_HAS_CXXABI
        if (const std::type_info* type = abi::__cxa_current_exception_type()) return {type_name(*type), ""};
#endif
        return {"unknown", ""};
    }
}

DISTWORK_DECL std::string what_of(const std::exception_ptr& exception) {
    auto [type, text] = describe(exception);
    return text.empty() ? std::move(type) : std::move(text);
}

}  // namespace distwork::detail
