#include "nets/official_files.hpp"

#include <string_view>

namespace ptrain {
namespace {

// MD5 sums from the sources of keras.applications; sizes where they are known.
constexpr OfficialFile kFiles[] = {
    {"VGG16", true, "current", "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5", "64373286793e3c8b2b4e3219cbf3544b", 0},
    {"VGG16", false, "current", "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", "6d6bbae143d832006294945121d1f1fc", 58889256},
    {"ResNet50", true, "current", "resnet/resnet50_weights_tf_dim_ordering_tf_kernels.h5", "2cb95161c43110f7111970584f804107", 0},
    {"ResNet50", false, "current", "resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", "4d473c1dd8becc155b73f8504c6f6626",
     94765736},
    {"ResNet50", true, "2016 (v0.2)", "", "a7b3fe01876f51b976af0dea6bc144eb", 102853048},
    {"ResNet50", false, "2016 (v0.2)", "", "a268eb855778b3df3c7506639542a6af", 0},
    {"DenseNet121", true, "current", "densenet/densenet121_weights_tf_dim_ordering_tf_kernels.h5", "9d60b8095a5708f2dcce2bca79d332c7", 0},
    {"DenseNet121", false, "current", "densenet/densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
     "30ee3e1110167f948a6b9946edeeb738", 29084464},
    {"InceptionV3", true, "current", "inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels.h5", "9a0d58056eeedaa3f26cb7ebd46da564",
     0},
    {"InceptionV3", false, "current", "inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
     "bcbd6486424b2319ff4ef7d526e38f63", 87910968},
    {"MobileNetV2", true, "current", "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5", "", 0},
    {"MobileNetV2", false, "current", "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5", "", 9406464},
};

std::string name_of(const OfficialFile& f) { return *f.path ? f.path : std::string(f.keras_net) + " of " + f.vintage; }

}  // namespace

std::span<const OfficialFile> official_files() { return kFiles; }

bool may_be_official(const std::string& keras_net, bool top, int64_t bytes) {
  for (const OfficialFile& f : kFiles)
    if (keras_net == f.keras_net && top == f.top && *f.md5 && (f.bytes == 0 || f.bytes == bytes)) return true;
  return false;
}

std::string match_official(const std::string& keras_net, bool top, const std::string& md5, int64_t bytes) {
  for (const OfficialFile& f : kFiles) {
    if (keras_net != f.keras_net || top != f.top) continue;
    if (*f.md5 && md5 == f.md5) return "the official file " + name_of(f) + " (MD5 agrees)";
    if (!*f.md5 && f.bytes != 0 && f.bytes == bytes) return "as long as the official file " + name_of(f) + ", of which no MD5 is published";
  }
  return "not one of the official files";
}

}  // namespace ptrain
