#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../base/separate.hpp"
#include "../engine.hpp"
#include "../factory_options.hpp"
#include "program_options.hpp"

namespace distwork::detail {

/// The engine that the options name. It starts this very program, at the same path, with these `arguments`, and as a slave
/// of the master that listens at `port`. *Errors*: throws Error (bad_option).
DISTWORK_DECL std::shared_ptr<Engine> engine_of(const ProgramOptions& options,
                                                const std::vector<std::string>& arguments, std::uint16_t port);

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/program_engine.ipp"
#endif
