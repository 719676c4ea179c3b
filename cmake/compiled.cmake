# distwork::compiled: the roles over Tcp with the library's selectors, compiled once. Whoever links it compiles only what
# belongs to its own types. Static, or shared with BUILD_SHARED_LIBS; position-independent, for use in shared libraries.
file(CONFIGURE OUTPUT compiled.cpp CONTENT "#include <distwork/impl/src.hpp>\n")
add_library(distwork_compiled "${CMAKE_CURRENT_BINARY_DIR}/compiled.cpp")
add_library(distwork::compiled ALIAS distwork_compiled)
target_link_libraries(distwork_compiled PUBLIC distwork)
target_compile_definitions(distwork_compiled PUBLIC DISTWORK_SEPARATE_COMPILATION)
set_target_properties(distwork_compiled PROPERTIES
  EXPORT_NAME compiled POSITION_INDEPENDENT_CODE ON
  CXX_VISIBILITY_PRESET default VISIBILITY_INLINES_HIDDEN OFF  # whatever a parent project sets
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION})
