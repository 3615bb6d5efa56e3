// defines: Descriptor: cuDNN's graph API is objects that one creates, gives attributes and finalizes; this owns one of them
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/handles.hpp"

namespace ptrain::cuda {

// Copies share the object. It keeps what it refers to alive: cuDNN does not promise to.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) : node_(std::make_shared<Node>()) {
    GPU_CHECK(cudnnBackendCreateDescriptor(type, &node_->object));
  }
  cudnnBackendDescriptor_t get() const { return node_->object; }

  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count, const void* values) {
    GPU_CHECK(cudnnBackendSetAttribute(get(), name, type, count, values));
    return *this;
  }
  Descriptor& numbers(cudnnBackendAttributeName_t name, const std::vector<int64_t>& v) { return set(name, CUDNN_TYPE_INT64, int64_t(v.size()), v.data()); }
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnDataType_t v) { return set(name, CUDNN_TYPE_DATA_TYPE, 1, &v); }
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnConvolutionMode_t v) { return set(name, CUDNN_TYPE_CONVOLUTION_MODE, 1, &v); }
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnPointwiseMode_t v) { return set(name, CUDNN_TYPE_POINTWISE_MODE, 1, &v); }
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendHeurMode_t v) { return set(name, CUDNN_TYPE_HEUR_MODE, 1, &v); }
  Descriptor& set(cudnnBackendAttributeName_t name, double v) { return set(name, CUDNN_TYPE_DOUBLE, 1, &v); }
  Descriptor& set(cudnnBackendAttributeName_t name, bool v) { return set(name, CUDNN_TYPE_BOOLEAN, 1, &v); }
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnHandle_t v) { return set(name, CUDNN_TYPE_HANDLE, 1, &v); }
  Descriptor& set(cudnnBackendAttributeName_t name, const std::string& v) { return set(name, CUDNN_TYPE_CHAR, int64_t(v.size()), v.data()); }
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& v) { return set(name, std::vector<Descriptor>{v}); }
  Descriptor& set(cudnnBackendAttributeName_t name, const std::vector<Descriptor>& v) {
    std::vector<cudnnBackendDescriptor_t> raw;
    for (const Descriptor& d : v) {
      raw.push_back(d.get());
      keep(d);
    }
    return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, int64_t(raw.size()), raw.data());
  }
  void keep(const Descriptor& d) { node_->uses.push_back(d.node_); }
  Descriptor& set(cudnnBackendAttributeName_t name, const std::vector<void*>& v) { return set(name, CUDNN_TYPE_VOID_PTR, int64_t(v.size()), v.data()); }
  Descriptor& finalize() {
    GPU_CHECK(cudnnBackendFinalize(get()));
    return *this;
  }

  int64_t number(cudnnBackendAttributeName_t name) const {
    int64_t value = 0, count = 0;
    GPU_CHECK(cudnnBackendGetAttribute(get(), name, CUDNN_TYPE_INT64, 1, &count, &value));
    return value;
  }

 private:
  struct Node {
    cudnnBackendDescriptor_t object = nullptr;
    std::vector<std::shared_ptr<Node>> uses;
    Node() = default;
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;
    ~Node() {
      if (object) cudnnBackendDestroyDescriptor(object);
    }
  };
  std::shared_ptr<Node> node_;
};

}  // namespace ptrain::cuda
