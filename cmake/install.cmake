include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/distwork")
install(TARGETS distwork EXPORT distworkTargets FILE_SET HEADERS FILE_SET impl FILE_SET journal FILE_SET tls
  FILE_SET dashboard)
install(EXPORT distworkTargets NAMESPACE distwork:: DESTINATION "${package_dir}")

# The compiled library depends on the architecture. Its targets are exported beside it, so that the rest of the package
# is the same for all architectures.
if(DISTWORK_COMPILED)
  install(TARGETS distwork_compiled EXPORT distworkCompiledTargets)
  install(EXPORT distworkCompiledTargets NAMESPACE distwork:: DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/distwork")
endif()

configure_package_config_file(cmake/distworkConfig.cmake.in distworkConfig.cmake INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file(distworkConfigVersion.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(
  FILES
    "${CMAKE_CURRENT_BINARY_DIR}/distworkConfig.cmake"
    "${CMAKE_CURRENT_BINARY_DIR}/distworkConfigVersion.cmake"
    cmake/Findasio.cmake
    cmake/distworkCoroutines.cmake
    cmake/distworkDashboard.cmake
    cmake/distworkJournal.cmake
    cmake/distworkTls.cmake
  DESTINATION "${package_dir}")
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")
