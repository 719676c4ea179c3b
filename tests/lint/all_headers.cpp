// All that the library has, for clang-tidy.
#include <distwork/command_engine.hpp>
#include <distwork/impl/src.hpp>
#include <distwork/map.hpp>
#include <distwork/program.hpp>
#include <distwork/run_slave.hpp>
#include <distwork/sim/simulation.hpp>
#include <distwork/slurm_engine.hpp>
#include <distwork/ssh_engine.hpp>
#include <distwork/work_group.hpp>
#ifdef WITH_DASHBOARD
#include <distwork/dashboard.hpp>
#endif
#ifdef WITH_JOURNAL
#include <distwork/journal.hpp>
#endif
#ifdef DISTWORK_TLS
#include <distwork/tls.hpp>
#endif
