#pragma once

#include "../base/requirements.hpp"

#ifdef __linux__
#include <sys/vfs.h>
#endif
#include <array>
#include <cstdint>
#include <filesystem>
#include <string>

namespace distwork::detail {

/// Whether a file system of this type (statfs, f_type) may be on another machine. There a write-ahead log is not safe.
///
/// *Source*: statfs(2), and magic.h of Linux.
constexpr bool is_network_file_system(std::uint32_t type) noexcept {
    constexpr std::array<std::uint32_t, 12> network{
        0x6969,      // NFS
        0xff534d42,  // CIFS
        0xfe534d42,  // SMB 2
        0x517b,      // SMB
        0x01021997,  // 9P
        0x65735546,  // FUSE: sshfs, GlusterFS and others
        0x0bd00bd0,  // Lustre
        0x47504653,  // GPFS
        0x19830326,  // BeeGFS
        0x00c36400,  // Ceph
        0x5346414f,  // AFS
        0x01161970,  // GFS2
    };
    for (const std::uint32_t one : network)
        if (one == type) return true;
    return false;
}

/// Whether the file, which may not exist yet, is on such a file system.
inline bool is_on_network(const std::string& path) {
#ifdef __linux__
    const auto folder = std::filesystem::absolute(path).parent_path();
    struct statfs found {};
    return ::statfs(folder.c_str(), &found) == 0 && is_network_file_system(static_cast<std::uint32_t>(found.f_type));
#else
    static_cast<void>(path);
    return false;
#endif
}

}  // namespace distwork::detail
