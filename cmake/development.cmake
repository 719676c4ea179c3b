# Flags for our own tests and examples. They belong to this directory and those below, not to the target distwork:
# nothing here reaches a consumer, or the dependencies. distwork::compiled is compiled with them where tests, examples or
# benchmarks are built.
add_compile_definitions(ASIO_NO_DEPRECATED)

if(MSVC)
  add_compile_options(/W4 $<$<BOOL:${DISTWORK_WARNINGS_AS_ERRORS}>:/WX>)
else()
  add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Wshadow $<$<BOOL:${DISTWORK_WARNINGS_AS_ERRORS}>:-Werror>)
  # It is wrong about coroutines whose frames Asio allocates (GCC bug 109224).
  add_compile_options($<$<CXX_COMPILER_ID:GNU>:-Wno-mismatched-new-delete>)
endif()

if(DISTWORK_SANITIZE)
  # -g1 is enough for stack traces, and compiles much faster than -g. The address sanitizer's build costs more time than
  # its tests: not optimized it compiles more than twice as fast.
  set(optimization -O0)
  if(DISTWORK_SANITIZE STREQUAL "thread")
    set(optimization -O1)
  endif()
  add_compile_options(${optimization} -g1 -fno-omit-frame-pointer -fsanitize=${DISTWORK_SANITIZE}
    -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${DISTWORK_SANITIZE})
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
  if(DISTWORK_SANITIZE STREQUAL "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-tsan)  # Asio's fences, which the sanitizer does not understand
  endif()
elseif(CMAKE_SYSTEM_NAME STREQUAL "Linux")
  # Hardened as distributions build what faces a network. (A consumer's flags are his own.)
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
  add_compile_options(-fstack-protector-strong -fstack-clash-protection $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
  add_link_options(-Wl,-z,relro,-z,now)
endif()

# For what is compiled more often than it runs.
set(not_optimized)
if(NOT MSVC)
  set(not_optimized -O0 -U_FORTIFY_SOURCE)
endif()
