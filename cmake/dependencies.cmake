# What is installed comes first; DISTWORK_FETCH_DEPS downloads what is missing; else one error says what to do.
include(FetchContent)
find_package(Threads REQUIRED)

function(distwork_missing name debian_package)
  message(FATAL_ERROR "distwork needs ${name}: not found.\n"
    "Install it (Debian, Ubuntu: apt install ${debian_package}), or configure with -DDISTWORK_FETCH_DEPS=ON.")
endfunction()

# Both are header-only: an imported target over their include folder is all of them that is needed, and unlike their
# own targets it may stand in our export set.
function(distwork_fetch_headers name repository tag)
  # No such subdirectory: download only, leave their build system alone.
  FetchContent_Declare(${name} GIT_REPOSITORY https://github.com/${repository}.git GIT_TAG ${tag} GIT_SHALLOW ON
    SOURCE_SUBDIR no-build-system)
  FetchContent_MakeAvailable(${name})
  set(include_dir "${${name}_SOURCE_DIR}/include")
  if(EXISTS "${${name}_SOURCE_DIR}/${name}/include")
    set(include_dir "${${name}_SOURCE_DIR}/${name}/include")
  endif()
  add_library(${name}::${name} INTERFACE IMPORTED GLOBAL)
  target_include_directories(${name}::${name} INTERFACE "${include_dir}")
endfunction()

if(NOT TARGET asio::asio)
  find_package(asio 1.22 QUIET)
endif()
if(NOT TARGET asio::asio)
  if(NOT DISTWORK_FETCH_DEPS)
    distwork_missing("Asio (standalone, 1.22 or later)" libasio-dev)
  endif()
  distwork_fetch_headers(asio chriskohlhoff/asio asio-1-30-2)
endif()

if(NOT TARGET cereal::cereal)
  find_package(cereal QUIET)
endif()
if(NOT TARGET cereal::cereal)
  if(NOT DISTWORK_FETCH_DEPS)
    distwork_missing("cereal (1.3.2)" libcereal-dev)
  endif()
  distwork_fetch_headers(cereal USCiLab/cereal v1.3.2)
endif()

if(DISTWORK_BUILD_TESTS)
  find_package(Catch2 QUIET)
  if(NOT Catch2_FOUND)
    if(NOT DISTWORK_FETCH_DEPS)
      distwork_missing("Catch2 (2.13 or 3) for its tests" catch2)
    endif()
    FetchContent_Declare(Catch2 GIT_REPOSITORY https://github.com/catchorg/Catch2.git GIT_TAG v3.7.1 GIT_SHALLOW ON
      SYSTEM)
    FetchContent_MakeAvailable(Catch2)
    list(APPEND CMAKE_MODULE_PATH "${Catch2_SOURCE_DIR}/extras")
  endif()
endif()
