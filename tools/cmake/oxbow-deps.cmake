# SPDX-License-Identifier: Apache-2.0
# What oxbow asks of the distribution, as imported targets: oxbow::lmdb, oxbow::uv, oxbow::mbedtls.
# Used by the build and, installed, by find_package(oxbow). Somewhere else than usual: CMAKE_PREFIX_PATH,
# or the variables that find_path and find_library name here.
include_guard(GLOBAL)
include(CMakeFindDependencyMacro)
find_dependency(Threads)

# oxbow_dependency(<target> HEADER <header> LIBRARIES <names>): none is required here; what needs
# the target says so.
function(oxbow_dependency target)
    cmake_parse_arguments(D "" "HEADER" "LIBRARIES" ${ARGN})
    if(TARGET oxbow::${target})
        return()
    endif()
    string(TOUPPER ${target} prefix)
    find_path(${prefix}_INCLUDE_DIR ${D_HEADER})
    set(found ${${prefix}_INCLUDE_DIR})
    set(paths)
    foreach(name IN LISTS D_LIBRARIES)
        string(TOUPPER ${name} upper)
        find_library(${upper}_LIBRARY NAMES ${name})
        list(APPEND paths ${${upper}_LIBRARY})
        if(NOT ${upper}_LIBRARY)
            set(found FALSE)
        endif()
    endforeach()
    if(found)
        add_library(oxbow::${target} INTERFACE IMPORTED GLOBAL)
        set_target_properties(oxbow::${target} PROPERTIES
            INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${${prefix}_INCLUDE_DIR}"
            INTERFACE_INCLUDE_DIRECTORIES "${${prefix}_INCLUDE_DIR}"
            INTERFACE_LINK_LIBRARIES "${paths}")
    endif()
endfunction()

oxbow_dependency(lmdb HEADER lmdb.h LIBRARIES lmdb)
oxbow_dependency(uv HEADER uv.h LIBRARIES uv)
# Debian keeps the headers of each Lua in a folder of its own, and one static archive per library: the
# libraries know no path, and scripts need no plug-ins.
oxbow_dependency(lua51 HEADER lua5.1/lua.h
                 LIBRARIES liblua5.1-cjson.a liblua5.1-bitop.a liblua5.1.a m)
if(TARGET oxbow::lua51)
    set_target_properties(oxbow::lua51 PROPERTIES
        INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${LUA51_INCLUDE_DIR}/lua5.1"
        INTERFACE_INCLUDE_DIRECTORIES "${LUA51_INCLUDE_DIR}/lua5.1")
endif()
# Debian's mbedTLS 2.28 has no pkg-config file.
oxbow_dependency(mbedtls HEADER mbedtls/ssl.h LIBRARIES mbedtls mbedx509 mbedcrypto)
