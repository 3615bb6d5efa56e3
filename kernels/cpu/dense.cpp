// The three products of a dense layer, by oneDNN's matmul on our row-major matrices as they are.
#include "kernels/cpu/conv.hpp"
#include "kernels/cpu/cpu.hpp"

namespace ptrain::cpu {
namespace {

using dnnl::memory;

// rows × columns; by columns: the matrix is held transposed.
memory::desc matrix(int64_t rows, int64_t columns, DType t, memory::format_tag tag = memory::format_tag::ab) {
  return {{rows, columns}, dnnl_type(t), tag};
}

std::unique_ptr<Operation> make_product(CpuExec& exec, const OpKey& key) {
  const int64_t m = key.shape.n, c = key.shape.c, k = key.shape.k;
  constexpr auto kTransposed = memory::format_tag::ba;
  const DType type = result_type(key.how, key.filter);  // filter: of the result
  memory::desc a, b, to;
  switch (key.kind) {
    case OpKind::dense_backward_data:  // dx = dy · wᵀ
      a = matrix(m, k, key.type), b = matrix(k, c, key.type, kTransposed), to = matrix(m, c, type);
      break;
    case OpKind::dense_backward_filter:  // dw = xᵀ · dy
      a = matrix(c, m, key.type, kTransposed), b = matrix(m, k, key.type), to = matrix(c, k, type);
      break;
    default:  // y = x · w
      a = matrix(m, c, key.type), b = matrix(c, k, key.type), to = matrix(m, k, type);
  }
  const dnnl::matmul::primitive_desc pd({a, b, to}, user_scratchpad(), exec.engine());
  return std::make_unique<Operation>(
      exec, dnnl::matmul(pd), pd.scratchpad_desc(),
      std::vector<Operand>{{DNNL_ARG_SRC, a, a}, {DNNL_ARG_WEIGHTS, b, b}, {DNNL_ARG_DST, to, to, result_role(key.how, key.filter)}});
}

void product(Exec& e, OpKind kind, const DenseShape& s, Buffer a, Buffer b, Into to) {
  require_type(a.dtype);
  if (!to) return;
  CpuExec& exec = cpu_exec(e);
  const OpKey key{
      .kind = kind, .type = a.dtype, .filter = to.buffer.dtype, .how = to.how, .shape = {.n = s.m, .h = 1, .w = 1, .c = s.c, .k = s.k}};
  exec.operation(key, make_product).run(exec, {a.data, b.data, to.buffer.data});
}

}  // namespace

void CpuBackend::do_dense_forward(Exec& e, const DenseShape& s, Buffer x, Buffer w, Buffer y) {
  product(e, OpKind::dense_forward, s, x, w, {y});
}

void CpuBackend::do_dense_backward_data(Exec& e, const DenseShape& s, Buffer dy, Buffer w, Into dx) {
  product(e, OpKind::dense_backward_data, s, dy, w, dx);
}

void CpuBackend::do_dense_backward_filter(Exec& e, const DenseShape& s, Buffer x, Buffer dy, Into dw) {
  product(e, OpKind::dense_backward_filter, s, x, dy, dw);
}

}  // namespace ptrain::cpu
