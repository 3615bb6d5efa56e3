# The CUDA backend, twice from the same sources: for GPUs (nvcc, cuDNN, cuBLAS) and for the emulator (g++ and the stand-ins of kernels/simt).
file(GLOB cuda_device_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/cuda/*.cu)
file(GLOB cuda_host_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/cuda/*.cpp)
file(GLOB simt_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/simt/*.cpp)

# What is compiled for the emulator finds our own CUDA headers first. -ffp-contract=off: __fmul_rn and __fadd_rn must not be fused.
add_library(ptrain_simt INTERFACE)
target_include_directories(ptrain_simt BEFORE INTERFACE ${CMAKE_SOURCE_DIR}/kernels/simt/include)
target_compile_definitions(ptrain_simt INTERFACE PTRAIN_SIMT)
target_compile_options(ptrain_simt INTERFACE -ffp-contract=off)

set_source_files_properties(${cuda_device_sources} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-xc++")
add_library(ptrain_cuda_sim_static STATIC ${cuda_device_sources} ${cuda_host_sources} ${simt_sources})
target_link_libraries(ptrain_cuda_sim_static PUBLIC ptrain_simt Threads::Threads)
set_target_properties(ptrain_cuda_sim_static PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
