// The frozen convolution: y = act(scale · conv(x, w) + shift [+ residual]) in one oneDNN primitive, or by Winograd, or pixel by pixel.
//
// An image is always computed by one thread with a primitive for a batch of one: the result depends neither on the batch nor on
// the number of threads, a chain of layers finds its activations in the cache of the core that made them, and one layout of the
// weights serves every n. (Batches of two or four in one primitive were no faster.)
#include <chrono>

#include "kernels/cpu/conv.hpp"
#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/pointwise.hpp"
#include "kernels/cpu/winograd.hpp"

namespace ptrain::cpu {
namespace {

// scale is in the weights, shift is the bias. Read by many threads at once.
struct PackedConv final : PackedWeights {
  PackedConv(const OpKey& k, const dnnl::memory::desc& layout, const dnnl::memory::desc& bias_layout, const dnnl::engine& engine)
      : key(k),
        weights_data(int64_t(layout.get_size())),
        bias_data(int64_t(bias_layout.get_size())),
        weights(layout, engine, weights_data.data()),
        bias(bias_layout, engine, bias_data.data()) {}
  OpKey key;
  Block weights_data, bias_data;
  dnnl::memory weights, bias;
};

// Transformed weights with the scale in them, then the shift.
struct PackedWinograd final : PackedWeights {
  explicit PackedWinograd(const Fused<ConvShape>& f) : key(f), data(int64_t(sizeof(float)) * (winograd_weights_size(f.conv) + f.conv.k)) {
    key.conv.n = 1;
  }
  float* weights() const { return static_cast<float*>(data.data()); }
  float* bias() const { return weights() + winograd_weights_size(key.conv); }
  Fused<ConvShape> key;
  Block data;
};

enum FusedOperand { kX, kW, kBias, kY };

OpKey fused_key(const Fused<ConvShape>& f, DType type) {
  OpKey key{.kind = OpKind::fused, .type = type, .filter = type, .act = f.act, .residual = f.residual, .shape = f.conv};
  key.shape.n = 1;
  return key;
}

std::unique_ptr<Operation> make_fused(CpuExec& exec, const OpKey& key) {
  const ConvDescs d = conv_descs(key);
  const dnnl::memory::desc bias({key.shape.k}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::a);
  dnnl::post_ops after;
  if (key.residual) after.append_sum(1.f);  // the residual lies in y
  if (key.act == Act::relu) after.append_eltwise(1.f, dnnl::algorithm::eltwise_relu, 0.f, 0.f);
  if (key.act == Act::relu6) after.append_eltwise(1.f, dnnl::algorithm::eltwise_clip, 0.f, 6.f);
  dnnl::primitive_attr attr = user_scratchpad();
  attr.set_post_ops(after);
  const dnnl::convolution_forward::primitive_desc pd(
      {dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, d.x, d.any_w, bias, d.y, d.stride, d.before, d.after}, attr,
      exec.engine());
  return std::make_unique<Operation>(exec, dnnl::convolution_forward(pd), pd.scratchpad_desc(),
                                     std::vector<Operand>{{DNNL_ARG_SRC, d.x, pd.src_desc()},
                                                          {DNNL_ARG_WEIGHTS, pd.weights_desc(), pd.weights_desc()},
                                                          {DNNL_ARG_BIAS, bias, bias},
                                                          {DNNL_ARG_DST, d.y, pd.dst_desc(), Operand::written}});
}

std::shared_ptr<const PackedWeights> pack_direct(CpuExec& exec, const Fused<ConvShape>& f, Buffer w, Buffer scale, Buffer shift) {
  const OpKey key = fused_key(f, w.dtype);
  const Operation& op = exec.operation(key, make_fused);
  const auto packed = std::make_shared<PackedConv>(key, op.layout(kW), op.layout(kBias), exec.engine());
  std::copy_n(shift.as<const float>(), shift.size, static_cast<float*>(packed->bias_data.data()));
  with_type(w.dtype, [&]<class T>(T) {
    T* folded = static_cast<T*>(exec.scratch(w.bytes()));
    const int64_t k = f.conv.k;
    for (int64_t i = 0; i < w.size; ++i) folded[i] = T(float(w.as<T>()[i]) * scale.as<float>()[i % k]);
    explain(exec, "packing weights", [&] {
      dnnl::memory plain(conv_descs(key).w, exec.engine(), folded);
      dnnl::stream stream = exec.stream();
      dnnl::reorder(plain, packed->weights).execute(stream, plain, packed->weights);
    });
  });
  return packed;
}

std::shared_ptr<const PackedWeights> pack_winograd(CpuExec& exec, const Fused<ConvShape>& f, Buffer w, Buffer scale, Buffer shift) {
  const auto packed = std::make_shared<PackedWinograd>(f);
  winograd_weights(exec, f.conv, w.as<const float>(), scale.as<const float>(), packed->weights());
  std::copy_n(shift.as<const float>(), shift.size, packed->bias());
  return packed;
}

void run_direct(Exec& e, const Fused<ConvShape>& f, Buffer x, const PackedConv& packed, Buffer residual, Buffer y) {
  const OpKey key = fused_key(f, x.dtype);
  REQUIRE_THAT(packed.key == key, "conv_bn_act: the weights were packed for another convolution or type");
  const int64_t x_size = f.conv.x_size() / f.conv.n, y_size = f.conv.y_size() / f.conv.n;
  parallel(e, f.conv.n, y_size, [&](Part part) {
    CpuExec& exec = cpu_exec(e).worker(part.index);
    Operation& op = exec.operation(key, make_fused);
    for (int64_t i = part.begin; i < part.end; ++i) {
      const Buffer to = y.slice(i * y_size, y_size);
      if (f.residual && residual.data != y.data)
        std::copy_n(residual.slice(i * y_size, y_size).as<const char>(), to.bytes(), to.as<char>());
      op.run(exec, {x.slice(i * x_size, x_size).data, packed.weights, packed.bias, to.data});
    }
  });
}

void run_winograd(Exec& e, const Fused<ConvShape>& f, Buffer x, const PackedWinograd& packed, Buffer residual, Buffer y) {
  Fused<ConvShape> one = f;
  one.conv.n = 1;
  REQUIRE_THAT(packed.key.conv == one.conv && packed.key.act == f.act && x.dtype == DType::float32,
               "conv_bn_act: the weights were packed for another convolution or type");
  winograd_forward(e, f.conv,
                   {.x = x.as<const float>(),
                    .u = packed.weights(),
                    .bias = packed.bias(),
                    .residual = f.residual ? residual.as<const float>() : nullptr,
                    .act = f.act,
                    .y = y.as<float>()});
}

void run_pointwise(Exec& e, const Fused<ConvShape>& f, Buffer x, const PackedPointwise& packed, Buffer residual, Buffer y) {
  REQUIRE_THAT(pointwise_fits(f.conv, x.dtype) && packed.weights.are_of(f),
               "conv_bn_act: the weights were packed for another convolution or type");
  pointwise(e, f.conv, packed.weights, x.as<const float>(), f.residual ? residual.as<const float>() : nullptr, y.as<float>());
}

// How long one image takes, on zeros.
double time_fused(CpuExec& exec, const Fused<ConvShape>& f, DType type, const PackedWeights& packed) {
  Fused<ConvShape> one = f;
  one.conv.n = 1;
  const Block x(one.conv.x_size() * int64_t(sizeof(float))), y(one.conv.y_size() * int64_t(sizeof(float)));
  std::fill_n(static_cast<float*>(x.data()), one.conv.x_size(), 0.f);
  std::fill_n(static_cast<float*>(y.data()), one.conv.y_size(), 0.f);
  const Buffer in{x.data(), type, one.conv.x_size()}, out{y.data(), type, one.conv.y_size()};
  const auto start = std::chrono::steady_clock::now();
  if (const auto* direct = dynamic_cast<const PackedConv*>(&packed)) run_direct(exec, one, in, *direct, out, out);
  else run_winograd(exec, one, in, dynamic_cast<const PackedWinograd&>(packed), out, out);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::shared_ptr<const PackedWeights> CpuBackend::do_pack_conv(Exec& e, const Fused<ConvShape>& f, Buffer w, Buffer scale, Buffer shift) {
  require_type(w.dtype);
  if (pointwise_fits(f.conv, w.dtype))
    return std::make_shared<PackedPointwise>(f, w.as<const float>(), scale.as<const float>(), shift.as<const float>());
  CpuExec& exec = cpu_exec(e).worker(0);
  std::shared_ptr<const PackedWeights> packed[2];
  const auto pack = [&](Algorithm a) -> std::shared_ptr<const PackedWeights>& {
    std::shared_ptr<const PackedWeights>& p = packed[int(a)];
    if (!p) p = a == Algorithm::winograd ? pack_winograd(exec, f, w, scale, shift) : pack_direct(exec, f, w, scale, shift);
    return p;
  };
  return pack(algorithms_.of(ConvUse::frozen, f.conv, w.dtype, [&](Algorithm a) { return time_fused(exec, f, w.dtype, *pack(a)); }));
}

void CpuBackend::do_conv_bn_act(Exec& e, const Fused<ConvShape>& f, Buffer x, const PackedWeights& w, Buffer residual, Buffer y) {
  if (const auto* pixelwise = dynamic_cast<const PackedPointwise*>(&w)) return run_pointwise(e, f, x, *pixelwise, residual, y);
  if (const auto* winograd = dynamic_cast<const PackedWinograd*>(&w)) return run_winograd(e, f, x, *winograd, residual, y);
  const auto* direct = dynamic_cast<const PackedConv*>(&w);
  REQUIRE_THAT(direct, "conv_bn_act: the weights were packed for another kind of convolution or device");
  run_direct(e, f, x, *direct, residual, y);
}

}  // namespace ptrain::cpu
