// Recording: the work of one Exec is captured as a CUDA graph from a stream of its own, so that other threads go on with the compute
// stream. Replayed it takes its place in the compute stream, like everything else.
#include "kernels/cuda/cuda.hpp"

namespace ptrain::cuda {
namespace {

class Graph final : public Recording {
 public:
  explicit Graph(cudaGraph_t graph) {
    const cudaError_t e = cudaGraphInstantiate(&exec, graph, 0);
    cudaGraphDestroy(graph);
    GPU_CHECK(e);
  }
  ~Graph() override {
    if (cudaGraphExecDestroy(exec) != cudaSuccess) std::fputs("warning: a CUDA graph was not freed\n", stderr);
  }
  cudaGraphExec_t exec = nullptr;
};

}  // namespace

std::unique_ptr<Recording> CudaBackend::do_record(Exec& e, const std::function<void()>& work) {
  use();
  const std::lock_guard lock(recording_);
  if (!recorded_lane_) {
    recorded_lane_ = std::make_unique<Lane>(options_.tf32);
    // The same memory as the compute stream's: graphs run there.
    GPU_CHECK(cublasSetWorkspace(recorded_lane_->cublas, cublas_workspace_, kCublasWorkspace));
  }
  auto& exec = static_cast<CudaExec&>(e);
  const cudaStream_t stream = recorded_lane_->stream;
  GPU_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  exec.recording_ = true;
  std::exception_ptr error;
  try {
    work();
  } catch (...) {
    error = std::current_exception();
  }
  exec.recording_ = false;
  cudaGraph_t graph = nullptr;
  const cudaError_t ended = cudaStreamEndCapture(stream, &graph);  // an error when a call was not allowed: there is no graph then
  if (error || ended != cudaSuccess) {
    if (ended == cudaSuccess) cudaGraphDestroy(graph);
    cudaGetLastError();  // or the next launch reports it again
    if (error) std::rethrow_exception(error);
    GPU_CHECK(ended);
  }
  return std::make_unique<Graph>(graph);
}

void CudaBackend::do_replay(Exec& e, const Recording& recording) {
  not_recording(e, "a recording inside another");
  run(e, "replay", {}, [&](cudaStream_t stream) { GPU_CHECK(cudaGraphLaunch(dynamic_cast<const Graph&>(recording).exec, stream)); });
}

void CudaBackend::not_recording(const Exec& e, const char* what) const {
  if (static_cast<const CudaExec&>(e).recording_)
    fail(ErrorKind::device, "recording the work of ", name(), ": ", what, ", which cannot be recorded");
}

}  // namespace ptrain::cuda
