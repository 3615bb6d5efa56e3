// Augmentation and resizing against the reference and the CPU backend.
#include "tests/kernels/cuda_sim.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

std::vector<double> grey_levels(uint32_t key, int64_t n) {
  std::vector<double> v = numbers(key, n, 0, 256);
  for (double& x : v) x = std::floor(x);
  return v;
}

// The parameters where the kernel reads them.
struct Parameters {
  explicit Parameters(Duel& d, const std::vector<AugmentImage>& images) {
    const size_t bytes = images.size() * sizeof(AugmentImage);
    cudaMalloc(&there, bytes);
    cudaMemcpyAsync(there, images.data(), bytes, cudaMemcpyHostToDevice, d.stream);
    cudaStreamSynchronize(d.stream);
  }
  ~Parameters() { cudaFree(there); }
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;
  const AugmentImage* get() const { return static_cast<const AugmentImage*>(there); }
  void* there = nullptr;
};

// Nothing, a shift, a rotation with zoom, a flip, a projection, contrast and brightness.
std::vector<AugmentImage> some_images(int64_t h, int64_t w) {
  std::vector<AugmentImage> images(7);
  images[1].transform.a2 = 2.25f, images[1].transform.b2 = -7.75f;
  images[2].transform = {.a0 = 0.9f, .a1 = 0.3f, .a2 = -1.3f, .b0 = -0.25f, .b1 = 1.1f, .b2 = 2.7f};
  images[3].transform = {.a0 = -1, .a2 = float(w - 1), .b1 = -1, .b2 = float(h - 1)};
  images[4].transform = {.a0 = 1.1f, .a2 = 0.3f, .b1 = 0.8f, .b2 = 0.4f, .c0 = 0.013f, .c1 = -0.007f};
  images[4].contrast = 0.5f;
  images[5].contrast = 1.75f, images[5].brightness = -30;
  images[6].transform.a2 = -3.5f, images[6].contrast = 1.2f, images[6].brightness = 60;
  return images;
}

}  // namespace

// Tolerance: the reference blends in double, where grey levels up to 255 round at 2⁻¹⁶; contrast and scale multiply that.
TEST_CASE("cuda: augmented batches equal those of the CPU backend and the reference") {
  const auto cpu = make_cpu_backend();
  const auto cpu_exec = cpu->make_exec(1);
  in_each_schedule([&](DType type, bool shift) {
    for (const FillMode fill : {FillMode::reflect, FillMode::nearest, FillMode::constant, FillMode::wrap})
      for (const Interpolation interpolation : {Interpolation::bilinear, Interpolation::nearest})
        for (const int64_t c : {1, 3}) {
          const AugmentShape s{.n = 7, .h = 13, .w = 17, .c = c, .fill = fill, .fill_value = 90, .interpolation = interpolation};
          CAPTURE(int(fill));
          CAPTURE(int(interpolation));
          CAPTURE(c);
          Duel d(type, shift);
          const std::vector<AugmentImage> images = some_images(s.h, s.w);
          const Parameters there(d, images);
          const Preprocess pre{.scale = {0.5f, 0.25f, 1.25f}, .shift = {1, -3, 0.125f}, .bgr = c == 3};
          const Both &x = d.input(grey_levels(1, s.n * s.h * s.w * c), DType::uint8), &y = d.output(s.n * s.h * s.w * 3);
          Backend& expected = type == DType::float16 ? d.ref : *cpu;
          expected.augment(type == DType::float16 ? *d.ref_exec : *cpu_exec, s, images, x.here, pre, y.here);
          cuda::augment(s, there.get(), x.there, pre, y.there, d.exec, d.stream);
          const Tolerance one = d.both_rounded(1, 1, type);
          d.same("y", y, Tolerance{2e-3, one.rtol});
        }
  });
}

// More pixels than one block sums, and an image that ends inside a block.
TEST_CASE("cuda: contrast turns around the mean of a whole image") {
  in_each_schedule([](DType type, bool shift) {
    const AugmentShape s{.n = 3, .h = 61, .w = 67, .c = 3};
    Duel d(type, shift);
    std::vector<AugmentImage> images(3);
    images[0].contrast = 1.5f, images[2].contrast = 0.25f, images[2].transform.a2 = 9.5f;
    const Parameters there(d, images);
    const Both &x = d.input(grey_levels(3, 3 * 61 * 67 * 3), DType::uint8), &y = d.output(3 * 61 * 67 * 3);
    d.ref.augment(*d.ref_exec, s, images, x.here, {}, y.here);
    cuda::augment(s, there.get(), x.there, {}, y.there, d.exec, d.stream);
    const Tolerance one = d.both_rounded(1, 1, type);
    d.same("y", y, Tolerance{2e-3, one.rtol});
  });
}

// 0.7f · 5 is 3.49999994, as a float32 3.5; minus 3 that is a half and rounds to 1. One fused operation would give 0.49999994, and 0.
TEST_CASE("cuda: positions are rounded after each operation as in TensorFlow") {
  in_each_schedule([](DType type, bool shift) {
    const AugmentShape s{.n = 1, .h = 6, .w = 6, .c = 1, .fill = FillMode::nearest, .interpolation = Interpolation::nearest};
    std::vector<double> image;
    for (int i = 0; i < 36; ++i) image.push_back(i);
    Duel d(type, shift);
    std::vector<AugmentImage> along_x(1);
    along_x[0].transform = {.a0 = 0.7f, .a1 = -1, .b1 = 0};
    const Parameters there(d, along_x);
    const Both &x = d.input(image, DType::uint8), &y = d.output(108);
    cuda::augment(s, there.get(), x.there, {}, y.there, d.exec, d.stream);
    CHECK(d.read(y)[(3 * 6 + 5) * 3] == 1);  // row 0, column 1
  });
}

TEST_CASE("cuda: resizing gives the bits of the reference") {
  in_each_schedule([](DType, bool shift) {
    for (const ResizeShape& s : {ResizeShape{1, 1, 1, 1, 1}, {5, 7, 3, 11, 4}, {40, 33, 1, 17, 300}, {9, 9, 3, 9, 9}, {2, 3, 3, 70, 1}}) {
      CAPTURE(s.out_w);
      Duel d(DType::float32, shift);
      const Both &x = d.input(grey_levels(1, s.h * s.w * s.c), DType::uint8), &y = d.output(s.out_h * s.out_w * s.c);
      d.ref.resize_bilinear(*d.ref_exec, s, x.here, y.here);
      cuda::resize_bilinear(s, x.there, y.there, d.stream);
      d.same("y", y, Tolerance{});
    }
  });
}
