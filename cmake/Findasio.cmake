# Finds standalone Asio, as asio::asio: the name that package managers give it. Debian's package has no CMake config.
if(NOT TARGET asio::asio)
  find_package(asio ${asio_FIND_VERSION} CONFIG QUIET)
endif()
if(TARGET asio::asio)
  set(asio_FOUND TRUE)
  return()
endif()

find_path(asio_INCLUDE_DIR asio.hpp)
if(asio_INCLUDE_DIR)
  file(STRINGS "${asio_INCLUDE_DIR}/asio/version.hpp" asio_VERSION REGEX "define ASIO_VERSION [0-9]+ // ")
  string(REGEX REPLACE ".* // " "" asio_VERSION "${asio_VERSION}")
endif()
mark_as_advanced(asio_INCLUDE_DIR)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(asio REQUIRED_VARS asio_INCLUDE_DIR VERSION_VAR asio_VERSION
  REASON_FAILURE_MESSAGE "Debian, Ubuntu: apt install libasio-dev")

if(asio_FOUND)
  add_library(asio::asio INTERFACE IMPORTED)
  target_include_directories(asio::asio INTERFACE "${asio_INCLUDE_DIR}")
endif()
