#pragma once

// Separate compilation: one source file of a program includes this header. The others are compiled with
// DISTWORK_SEPARATE_COMPILATION, and contain only what their own types need; the roles over Tcp with the selectors of
// the library are compiled here. The library distwork::compiled consists of such a file.

#include "roles.hpp"

// What is no template. The headers above declare it.
#include "archive_bounds.ipp"
#include "archive_polymorphic.ipp"
#include "codec.ipp"
#include "direct_call.ipp"
#include "error.ipp"
#include "factory_core.ipp"
#include "fingerprint.ipp"
#include "fingerprint_archive.ipp"
#include "group_flow.ipp"
#include "group_submission.ipp"
#include "large_blocks.ipp"
#include "log.ipp"
#include "polymorphic_types.ipp"
#include "ready_set.ipp"
#include "registry.ipp"
#include "slave_waiters.ipp"
#include "start_works.ipp"
#include "straggler_watch.ipp"
#include "submission.ipp"
#include "type_name.ipp"
#include "wire_archive.ipp"
#include "work_caster.ipp"

#ifdef __linux__
#include "child_mark.ipp"
#include "child_process.ipp"
#include "local_slaves.ipp"
#include "output_relay.ipp"
#include "program_core.ipp"
#include "program_engine.ipp"
#include "program_options.ipp"
#include "progress_bar.ipp"
#include "run_slave.ipp"
#include "service_notice.ipp"
#endif

namespace distwork::detail {

template struct MasterFactory<RoundRobin, Tcp>;
template struct MasterFactory<LeastLoaded, Tcp>;
template struct MasterFactory<PowerOfTwoChoices, Tcp>;
template struct MasterFactory<AnySelector, Tcp>;
template struct SlaveFactory<Tcp>;

}  // namespace distwork::detail
