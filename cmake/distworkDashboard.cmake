# distwork::dashboard, for those who include <distwork/dashboard.hpp>: the library, and cpp-httplib, where that is found. Used
# by the project and by the installed package. Sets `distwork_dashboard_FOUND`, and else `distwork_dashboard_missing`, a
# sentence.
set(distwork_dashboard_FOUND FALSE)
set(distwork_httplib "")
find_package(httplib CONFIG QUIET)  # as its authors install it
if(TARGET httplib::httplib AND httplib_VERSION VERSION_GREATER_EQUAL 0.11)
  set(distwork_httplib httplib::httplib)
else()
  find_package(PkgConfig QUIET)  # Debian's: only that knows which features it was compiled with
  if(PkgConfig_FOUND)
    pkg_check_modules(distwork_httplib QUIET IMPORTED_TARGET GLOBAL "cpp-httplib>=0.11")
    if(distwork_httplib_FOUND)
      set(distwork_httplib PkgConfig::distwork_httplib)
    endif()
  endif()
endif()
if(NOT distwork_httplib)
  set(distwork_dashboard_missing
    "cpp-httplib (0.11 or later) is not found. Debian, Ubuntu: apt install libcpp-httplib-dev pkg-config")
else()
  set(distwork_dashboard_FOUND TRUE)
  if(NOT TARGET distwork::dashboard)
    add_library(distwork::dashboard INTERFACE IMPORTED)
    target_link_libraries(distwork::dashboard INTERFACE distwork::distwork ${distwork_httplib})
  endif()
endif()
