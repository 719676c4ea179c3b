# Builds and installs the library, from nothing, with its compiled part:
#   cmake -DSOURCE=… -DBINARY=… -DPREFIX=… -P install.cmake -- ARGS of cmake…
include("${CMAKE_CURRENT_LIST_DIR}/arguments.cmake")

file(REMOVE_RECURSE "${BINARY}" "${PREFIX}")
execute_process(COMMAND "${CMAKE_COMMAND}" -S "${SOURCE}" -B "${BINARY}" -DDISTWORK_COMPILED=ON
  -DDISTWORK_BUILD_TESTS=OFF -DDISTWORK_BUILD_EXAMPLES=OFF ${arguments} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${CMAKE_COMMAND}" --build "${BINARY}" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${CMAKE_COMMAND}" --install "${BINARY}" --prefix "${PREFIX}" COMMAND_ERROR_IS_FATAL ANY)
