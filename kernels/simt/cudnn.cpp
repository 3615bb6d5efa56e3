// Stand-in for cuDNN's backend API: descriptors are bags of attributes, finalize() checks what the real library checks, and a plan is its
// graph, executed by cudnn_execute.cpp. Its heuristics offer one engine that must be passed over, one that does not build, and one that works.
#include "cudnn.h"

#include <algorithm>
#include <cstring>

#include "kernels/simt/cudnn_graph.hpp"

using namespace ptrain::simt;

namespace {

thread_local std::string last_message;

cudnnStatus_t refuse(cudnnStatus_t status, const std::string& message) {
  last_message = "cuda-sim: " + message;
  return status;
}
cudnnStatus_t bad(const std::string& message) { return refuse(CUDNN_STATUS_BAD_PARAM, message); }

size_t width_of(cudnnBackendAttributeType_t t) {
  switch (t) {
    case CUDNN_TYPE_CHAR:
    case CUDNN_TYPE_BOOLEAN: return 1;
    case CUDNN_TYPE_DATA_TYPE:
    case CUDNN_TYPE_FLOAT:
    case CUDNN_TYPE_INT32:
    case CUDNN_TYPE_CONVOLUTION_MODE:
    case CUDNN_TYPE_HEUR_MODE:
    case CUDNN_TYPE_NUMERICAL_NOTE:
    case CUDNN_TYPE_POINTWISE_MODE: return 4;
    default: return 8;
  }
}

// The three descriptors of a convolution and its attributes, whichever direction.
cudnnStatus_t check_convolution(const ConvRoles& c) {
  if (!c.x || !c.w || !c.y || !c.conv) return bad("a convolution lacks a descriptor");
  const auto x = c.x->numbers(CUDNN_ATTR_TENSOR_DIMENSIONS), w = c.w->numbers(CUDNN_ATTR_TENSOR_DIMENSIONS), y = c.y->numbers(CUDNN_ATTR_TENSOR_DIMENSIONS);
  const auto pre = c.conv->numbers(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS), post = c.conv->numbers(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS);
  const auto stride = c.conv->numbers(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES), dilation = c.conv->numbers(CUDNN_ATTR_CONVOLUTION_DILATIONS);
  if (x.size() != 4 || w.size() != 4 || y.size() != 4 || pre.size() != 2 || post.size() != 2 || stride.size() != 2 || dilation.size() != 2)
    return bad("a convolution is not two-dimensional");
  if (x[0] != y[0] || x[1] != w[1] || y[1] != w[0]) return bad("the channels or images of a convolution do not agree");
  for (size_t i = 0; i < 2; ++i)
    if (y[2 + i] != (x[2 + i] + pre[i] + post[i] - dilation[i] * (w[2 + i] - 1) - 1) / stride[i] + 1)
      return bad("the output of a convolution has size " + std::to_string(y[2 + i]) + ", which is not what its input, window, stride and padding give");
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t check_tensor(const Bag& b) {
  const auto dims = b.numbers(CUDNN_ATTR_TENSOR_DIMENSIONS), strides = b.numbers(CUDNN_ATTR_TENSOR_STRIDES);
  if (dims.empty() || dims.size() != strides.size()) return bad("a tensor has as many strides as dimensions, and at least one");
  for (size_t i = 0; i < dims.size(); ++i)
    if (dims[i] < 1 || strides[i] < 1) return bad("a tensor has a dimension or stride below one");
  if (!b.has(CUDNN_ATTR_TENSOR_DATA_TYPE) || !b.has(CUDNN_ATTR_TENSOR_UNIQUE_ID) || !b.has(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT))
    return bad("a tensor needs a type, an id and an alignment");
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

extern "C" {

cudnnStatus_t cudnnCreate(cudnnHandle_t* h) {
  *h = new cudnnContext;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t h) {
  delete h;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t h, cudaStream_t stream) {
  h->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}
size_t cudnnGetVersion() { return 90000; }
const char* cudnnGetErrorString(cudnnStatus_t s) {
  switch (s) {
    case CUDNN_STATUS_SUCCESS: return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_NOT_INITIALIZED: return "CUDNN_STATUS_NOT_INITIALIZED";
    case CUDNN_STATUS_BAD_PARAM: return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_EXECUTION_FAILED: return "CUDNN_STATUS_EXECUTION_FAILED";
  }
  return "a status that the stand-in does not know";
}
void cudnnGetLastErrorString(char* message, size_t size) {
  if (size == 0) return;
  std::strncpy(message, last_message.c_str(), size - 1);
  message[size - 1] = 0;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t* d) {
  *d = new Bag{type};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t d) {
  delete static_cast<Bag*>(d);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                                       const void* values) {
  Bag& b = *static_cast<Bag*>(d);
  if (b.final) return bad("an attribute is set after finalize");
  if (count < 1 || !values) return bad("an attribute without a value");
  const char* bytes = static_cast<const char*>(values);
  b.attributes[name] = {type, std::vector<char>(bytes, bytes + size_t(count) * width_of(type))};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t d) {
  Bag& b = *static_cast<Bag*>(d);
  if (b.final) return bad("finalize is called twice");
  for (const auto& [name, a] : b.attributes)
    if (a.type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
      for (const Bag* used : b.bags(name))
        if (!used || !used->final) return bad("attribute " + std::to_string(name) + " is a descriptor that is not finalized");
  cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
  switch (b.type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR: status = check_tensor(b); break;
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR: status = check_convolution(roles_of(b)); break;
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
      if (!b.bag(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH) || !b.has(CUDNN_ATTR_ENGINEHEUR_MODE)) status = bad("heuristics need a graph and a mode");
      break;
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR: {
      const Bag* config = b.bag(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
      if (!config) status = bad("a plan needs an engine configuration");
      else if (config->engine == kBrokenEngine) status = refuse(CUDNN_STATUS_NOT_SUPPORTED, "this engine never builds");
      break;
    }
    default: break;
  }
  b.final = status == CUDNN_STATUS_SUCCESS;
  return status;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t, int64_t room,
                                       int64_t* count, void* values) {
  const Bag& b = *static_cast<const Bag*>(d);
  switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS: {
      const Bag* graph = b.bag(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
      const auto mode = b.values<cudnnBackendHeurMode_t>(CUDNN_ATTR_ENGINEHEUR_MODE).at(0);
      const std::vector<int64_t> engines = offered_engines(*graph, mode);
      *count = int64_t(engines.size());
      for (int64_t i = 0; i < std::min(room, *count); ++i) {
        Bag& config = *static_cast<Bag**>(values)[i];
        config.engine = engines[size_t(i)];
        config.graph = graph;
        config.final = true;
      }
      return CUDNN_STATUS_SUCCESS;
    }
    case CUDNN_ATTR_ENGINECFG_ENGINE: {
      Bag& engine = **static_cast<Bag**>(values);
      engine.engine = b.engine;
      engine.graph = b.graph;
      engine.final = true;
      *count = 1;
      return CUDNN_STATUS_SUCCESS;
    }
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
      *static_cast<int64_t*>(values) = b.engine;
      *count = 1;
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE: {
      auto* notes = static_cast<cudnnBackendNumericalNote_t*>(values);
      *count = 0;
      if (b.engine == kTf32Engine) notes[(*count)++] = CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
      return CUDNN_STATUS_SUCCESS;
    }
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
      *static_cast<int64_t*>(values) = kWorkspace;
      *count = 1;
      return CUDNN_STATUS_SUCCESS;
    default: return bad("attribute " + std::to_string(name) + " cannot be read");
  }
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack) {
  if (!handle) return CUDNN_STATUS_NOT_INITIALIZED;
  const Bag &p = *static_cast<const Bag*>(plan), &v = *static_cast<const Bag*>(pack);
  if (!p.final || !v.final) return bad("a plan or variant pack that is not finalized");
  const std::string problem = execute(handle->stream, p, v);
  return problem.empty() ? CUDNN_STATUS_SUCCESS : refuse(CUDNN_STATUS_EXECUTION_FAILED, problem);
}

}  // extern "C"
