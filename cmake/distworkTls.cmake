# distwork::tls, for those who include <distwork/tls.hpp>: the library, and OpenSSL, where that is found. Used by the project
# and by the installed package. Sets `distwork_tls_FOUND`, and else `distwork_tls_missing`, a sentence.
find_package(OpenSSL 3.0 QUIET)
set(distwork_tls_FOUND ${OpenSSL_FOUND})
if(NOT distwork_tls_FOUND)
  set(distwork_tls_missing "OpenSSL (3.0 or later) is not found. Debian, Ubuntu: apt install libssl-dev")
elseif(NOT TARGET distwork::tls)
  add_library(distwork::tls INTERFACE IMPORTED)
  target_link_libraries(distwork::tls INTERFACE distwork::distwork OpenSSL::SSL OpenSSL::Crypto)
  target_compile_definitions(distwork::tls INTERFACE DISTWORK_TLS)  # program.hpp then takes secrets
endif()
