# SPDX-License-Identifier: Apache-2.0
# The names to link (oxbow::oxbow, oxbow::uplink, oxbow::resp, oxbow::lua, in the tree as outside of it) and what
# `cmake --install` puts where: headers, archives, a CMake package, pkg-config files.
include(CMakePackageConfigHelpers)

set(targets oxbow_headers)
# oxbow_bundle(<name> <libraries>): one INTERFACE target over several archives, if all are there.
function(oxbow_bundle name)
    foreach(library IN LISTS ARGN)
        if(NOT TARGET ${library})
            return()
        endif()
    endforeach()
    add_library(oxbow_bundle_${name} INTERFACE)
    target_link_libraries(oxbow_bundle_${name} INTERFACE ${ARGN})
    set_target_properties(oxbow_bundle_${name} PROPERTIES EXPORT_NAME ${name})
    add_library(oxbow::${name} ALIAS oxbow_bundle_${name})
endfunction()
oxbow_bundle(oxbow oxbow_keyval oxbow_queue oxbow_store oxbow_posix oxbow_base)
oxbow_bundle(uplink oxbow_uv oxbow_uplink oxbow_mbedtls oxbow_bundle_oxbow)
oxbow_bundle(resp oxbow_uv_resp oxbow_resp oxbow_bundle_oxbow)
oxbow_bundle(lua oxbow_lua oxbow_bundle_resp)

get_property(libraries GLOBAL PROPERTY OXBOW_LIBRARIES)
foreach(name oxbow uplink resp lua)
    if(TARGET oxbow_bundle_${name})
        list(APPEND libraries oxbow_bundle_${name})
    endif()
endforeach()
install(TARGETS oxbow_headers ${libraries} EXPORT oxbow-targets)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/oxbow DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/oxbow)
set(OXBOW_NEEDS lmdb)
if(TARGET oxbow_bundle_uplink)
    list(APPEND OXBOW_NEEDS uv mbedtls)
endif()
if(TARGET oxbow_bundle_resp)
    list(APPEND OXBOW_NEEDS uv)
endif()
if(TARGET oxbow_bundle_lua)
    list(APPEND OXBOW_NEEDS lua51)
endif()
install(EXPORT oxbow-targets NAMESPACE oxbow:: DESTINATION ${package})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/oxbow-config.cmake.in
    ${PROJECT_BINARY_DIR}/oxbow-config.cmake INSTALL_DESTINATION ${package})
# Before 1.0 a minor version may change the API.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/oxbow-config-version.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/oxbow-config.cmake
    ${PROJECT_BINARY_DIR}/oxbow-config-version.cmake ${CMAKE_CURRENT_LIST_DIR}/oxbow-deps.cmake
    DESTINATION ${package})

# The prefix is known at install time only: `cmake --install --prefix` must do.
foreach(name oxbow uplink resp lua)
    if(TARGET oxbow_bundle_${name})
        string(REPLACE "oxbow-oxbow" "oxbow" pc "oxbow-${name}")
        set(in ${CMAKE_CURRENT_LIST_DIR}/${pc}.pc.in)
        set(out ${PROJECT_BINARY_DIR}/${pc}.pc)
        install(CODE "
            set(PROJECT_VERSION \"${PROJECT_VERSION}\")
            set(OXBOW_PC_LIBDIR \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}\")
            set(OXBOW_PC_INCLUDEDIR \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_INCLUDEDIR}\")
            configure_file(\"${in}\" \"${out}\" @ONLY)")
        install(FILES ${out} DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
    endif()
endforeach()
