#pragma once

#include <distwork/register.hpp>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

/// Takes so long, and returns the id of the job in which it ran.
inline std::string where(int milliseconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds{milliseconds});
    const char* const job = std::getenv("SLURM_JOB_ID");
    return job ? job : "";
}
DISTWORK_REGISTER_FUNCTION(where)
