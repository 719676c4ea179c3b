# Asio 1.22 does not see that clang has coroutines, and then hides asio::awaitable. Finds the definitions that this
# compiler needs with this Asio: most often none.
function(distwork_find_coroutine_definitions result)
  if(NOT DEFINED CACHE{DISTWORK_COROUTINE_DEFINITIONS})
    set(source "${CMAKE_CURRENT_BINARY_DIR}/distwork_coroutine.cpp")
    file(WRITE "${source}" [[
#include <asio/awaitable.hpp>
#include <coroutine>
asio::awaitable<int> one() { co_return 1; }
asio::awaitable<int> two() { co_return co_await one() + 1; }
std::coroutine_handle<> handle;
]])
    set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)  # that it compiles is all we ask
    set(for_clang ASIO_HAS_CO_AWAIT=1 ASIO_HAS_STD_COROUTINE=1)
    foreach(definitions IN ITEMS "" "${for_clang}" "${for_clang};__cpp_impl_coroutine=201902L")
      list(TRANSFORM definitions PREPEND "-D" OUTPUT_VARIABLE flags)
      try_compile(DISTWORK_COROUTINES_COMPILE "${CMAKE_CURRENT_BINARY_DIR}/distwork_coroutine" SOURCES "${source}"
        COMPILE_DEFINITIONS ${flags} LINK_LIBRARIES asio::asio OUTPUT_VARIABLE output
        CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)
      set(compiles "${DISTWORK_COROUTINES_COMPILE}")
      unset(DISTWORK_COROUTINES_COMPILE CACHE)
      if(compiles)
        set(DISTWORK_COROUTINE_DEFINITIONS "${definitions}" CACHE INTERNAL "What Asio's coroutines need here")
        break()
      endif()
    endforeach()
    if(NOT compiles)
      message(FATAL_ERROR "distwork needs a compiler with C++20 coroutines that Asio can use:\n${output}")
    endif()
  endif()
  set(${result} "${DISTWORK_COROUTINE_DEFINITIONS}" PARENT_SCOPE)
endfunction()
