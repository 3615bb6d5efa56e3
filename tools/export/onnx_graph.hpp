// defines: OnnxGraph, an ONNX model under construction: nodes, small constants, and weights that are read when the file is written
#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "tensor/shape.hpp"
#include "tools/export/protobuf.hpp"

namespace ptrain::exports {

using OnnxAttribute = std::variant<int64_t, float, std::string, std::vector<int64_t>>;

class OnnxGraph {
 public:
  using Names = std::vector<std::string>;

  // A node with one output, which is called like the node; gives that name.
  std::string node(const std::string& op, const std::string& name, const Names& inputs,
                   const std::map<std::string, OnnxAttribute>& attributes = {});
  std::string constant(const std::string& name, const Shape& shape, const std::vector<float>& values);
  std::string constant(const std::string& name, const std::vector<int64_t>& values);
  std::string weight(const std::string& name, const Shape& shape, std::function<std::vector<float>()> values);
  // Float32. A dimension of 0 is free, and called n.
  void input(const std::string& name, const Shape& shape) { body_.message(11, value(name, shape)); }
  void output(const std::string& name, const Shape& shape) { body_.message(12, value(name, shape)); }

  // Writes a ModelProto of opset 17 in pieces. Fields: onnx/onnx.proto of ONNX 1.12, IR version 8.
  void write(const std::string& name, const std::map<std::string, std::string>& metadata,
             const std::function<void(std::string_view)>& out) const;

 private:
  struct Weight {
    std::string head;  // the TensorProto up to its data
    uint64_t bytes;    // of the data
    std::function<std::vector<float>()> values;
  };
  static Message value(const std::string& name, const Shape& shape);
  Message body_;
  std::vector<Weight> weights_;
};

}  // namespace ptrain::exports
