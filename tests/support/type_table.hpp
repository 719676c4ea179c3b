#pragma once

#include <distwork.hpp>
#include <memory>
#include <utility>
#include <vector>

/// Types by hand, as a role would tell its peers of them.
inline std::shared_ptr<const distwork::detail::TypeTable> table_of(std::vector<const distwork::WorkType*> types) {
    auto table = std::make_shared<distwork::detail::TypeTable>();
    for (const distwork::WorkType* type : types)
        table->fingerprints.push_back(type->fingerprint ? type->fingerprint() : 0);
    table->parts_of.resize(types.size());
    table->types = std::move(types);
    return table;
}
