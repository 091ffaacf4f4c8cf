"""Tricks that are no loss: the entries of those that keys of [model] and [train] choose, by their names."""

from ssgan.techniques.settings_entry import SettingsEntry

SETTINGS_ENTRIES: dict[str, SettingsEntry] = {
    "weight_norm": SettingsEntry(
        """Weight norm: a layer's weights are a direction and a length apart, W = g v / |v| row by row. Steps along v do
        not change the length, so that the classifier's layers need no batch norm, under which images of a batch would
        depend on each other. Hidden layers keep the g of their initialisation, the output learns it. Costs a norm of
        each row a step. Salimans & Kingma 2016, equation 2.""",
        ("model.norm", "model.output"), {"model.norm": "spectral", "model.output": "plain"},
        {"model.norm": "weight", "model.output": "normalised"}),
    "batch_norm": SettingsEntry(
        """Batch norm in the discriminator: each unit of a hidden layer has mean 0 and standard deviation 1 over the
        images of a pass, y = gain (x - mean) / sqrt(variance + 1e-5) + shift. Labelled, unlabelled and generated images
        take a pass each and are normalised apart, as Chintala et al. 2016 advise (number 4), and feature matching has
        nothing to match; or, with model.norm_batches = joint, unlabelled and generated ones are one batch, in both
        players' updates, so that what tells them from each other is left. In evaluation and export the statistics are
        those of 1,000 training images, kept with the averaged weights. Costs a few passes over the activations, and a
        pass for each kind of images. Ioffe & Szegedy 2015; Radford et al. 2016, section 3.""",
        ("model.norm", "model.norm_gain", "model.norm_batches"), {"model.norm": "weight"}, {"model.norm": "batch"}),
    "virtual_batch_norm": SettingsEntry(
        """Virtual batch norm in the discriminator: mean and variance are those of a reference batch of real images,
        drawn once and kept, y = gain (x - mean) / sqrt(variance + 1e-5) + shift with both of the reference alone; it
        goes through the network with every pass, with noise of its own; with
        model.reference_itself the image itself counts as one more. No image depends on its neighbours, in training or
        after it. Costs so many images more a pass, in evaluation and export too. Salimans et al. 2016, section 3.5.""",
        ("model.norm", "model.reference_images", "model.reference_itself", "model.norm_gain"),
        {"model.norm": "weight"}, {"model.norm": "virtual"}),
    "spectral_norm": SettingsEntry(
        """Spectral norm: hidden weights, and the output's where model.output says so, are divided by their largest
        singular value, W / sigma with sigma = u W v, so that no layer stretches a difference of two images. u
        follows by one step of the power method before every update. Costs two products of a matrix and a vector a
        layer. Miyato et al. 2018, algorithm 1.""",
        ("model.norm", "model.output"), {"model.norm": "weight", "model.output": "plain"},
        {"model.norm": "spectral", "model.output": "spectral"}),
    "data_dependent_initialisation": SettingsEntry(
        """The discriminator's first scales and biases are such that every unit has mean 0 and standard deviation 1 over
        some images of those that the recipe may see: g = 1 / sigma[t], b = -mu[t] / sigma[t] with t = v x / |v|; the
        logits have model.output_scale. No layer is dead or saturated at the start. With no images, weights stay as they
        were drawn, normal with deviation model.initial_scale, and biases 0. Costs a pass before training. Salimans &
        Kingma 2016, section 3.""",
        ("train.initialise_images", "model.initial_scale", "model.output_scale"), {"train.initialise_images": 0}),
    "minibatch_discrimination": SettingsEntry(
        """Minibatch discrimination: behind its features the discriminator is told how near each image lies to the
        others of its batch, o_b(x_i) = sum over j != i of exp(-|M_ib - M_jb|_1) with M = T f(x), so that a generator
        that makes one image again and again is found out. The distance is L1, or L2 as model.minibatch_distance says.
        Labelled, unlabelled and generated images are compared among themselves; the sum counts as over 99 others
        whatever the batch. In evaluation and export an image is compared with 100 training images that are saved with
        the model, and so gets one answer in any company. Feature matching and what else reads features sees those
        before this layer. Costs batch^2 kernels dimensions numbers a pass, and a pass for each kind of images. Salimans
        et al. 2016, section 3.2: 100 kernels of 5 dimensions.""",
        ("model.minibatch_kernels", "model.minibatch_dimensions", "model.minibatch_distance"),
        {"model.minibatch_kernels": 0}),
    "layer_noise": SettingsEntry(
        """Gaussian noise on the discriminator's input and behind its hidden layers: x + std e, e normal. The classifier
        cannot learn few labelled images by heart, and real and generated images overlap. Costs a draw a unit and image,
        on a CPU a good part of a small step. Bishop 1995; the code of Salimans et al. 2016.""",
        ("model.input_noise", "model.hidden_noise"), {"model.input_noise": 0, "model.hidden_noise": 0}),
    "dropout": SettingsEntry(
        """Dropout in the discriminator: a share s of the numbers on its input, or behind its hidden layers, is 0 in
        each pass of training, and the others are 1 / (1 - s) times what they are; in evaluation none is. Of
        convolutions it stands behind those with a stride. Costs a draw a number. Srivastava et al. 2014; the code of
        Salimans et al. 2016 for CIFAR-10: 0.2 on the input, 0.5 behind the others.""",
        ("model.dropout", "model.input_dropout"), {"model.dropout": 0, "model.input_dropout": 0}),
    "generator_dropout": SettingsEntry(
        """Dropout in the generator: a share s of the numbers behind each of its hidden layers is 0 in each pass of
        training, and the others are x / (1 - s); and, as Isola et al. 2017 have it in place of a latent vector, when
        images are sampled too where model.generator_dropout_sampling says so. Costs a draw a number. Chintala et al.
        2016, "How to train a GAN", number 17: 0.5.""",
        ("model.generator_dropout", "model.generator_dropout_sampling"), {"model.generator_dropout": 0}),
    "generator_activation": SettingsEntry(
        """The activation of the generator's hidden layers: softplus of dense layers, log(1 + exp(x)), ReLU of
        convolutions, or for either ReLU or leaky ReLU, max(x, 0.2 x), whose gradient is nowhere 0. Costs nothing.
        Radford et al. 2016, section 3: ReLU.""",
        ("model.generator_activation",), {"model.generator_activation": "family"}),
    "discriminator_activation": SettingsEntry(
        """The activation of the discriminator's hidden layers: ReLU, max(x, 0), of dense layers, leaky ReLU, max(x, 0.2
        x), of convolutions, or either for both. A leaky unit is never silent, so that the generator gets a gradient
        through all of them. Costs nothing. Maas et al. 2013; Radford et al. 2016, section 3: leaky ReLU 0.2.""",
        ("model.activation",), {"model.activation": "family"}),
    "average_pooling": SettingsEntry(
        """Average pooling in the convolutional discriminator: a convolution keeps its map's size, and the mean over
        squares as large as a stride makes it smaller, where else the convolution has the stride. Its 3x3 kernel is no
        multiple of a stride of 2, so that a stride gives some pixels of the generator's image twice the gradient of
        others; a mean gives all the same. Costs stride^2 times the products of such a convolution. Chintala et al.
        2016, number 5, take either; Radford et al. 2016, section 3, strides.""",
        ("model.downsampling",), {"model.downsampling": "strides"}),
    "transposed_convolutions": SettingsEntry(
        """Transposed convolutions in the convolutional generator: every number of a map is spread over 4x4 pixels of
        one twice as large, y[2 i + a] += w[a] x[i], in the place of nearest-neighbour upsampling before a 3x3
        convolution. The kernel is a multiple of the stride of 2, so that every pixel is a sum of as many and no pattern
        of squares is there from the start (Odena et al. 2016, who advise upsampling). Costs 4 / 9 of the other's
        products. Radford et al. 2016, section 3.""",
        ("model.upsampling",), {"model.upsampling": "nearest"}),
    "multi_scale": SettingsEntry(
        """Multi-scale gradients: the generator gives an image at every scale of its maps, x_s = a 1x1 convolution of
        the map of s pixels, and the discriminator takes each in where its own map is as large; real images are averaged
        over 2x2 pixels to the smaller scales. So the gradient reaches every layer of the generator directly, where else
        it comes through all later ones, and is of no use while real and generated images have nothing in common. Costs
        a 1x1 convolution a scale and a half more pixels. Karnewar & Wang 2020, section 2.""",
        ("model.family",), {"model.family": "dcgan"}, {"model.family": "multiscale"}),
    "signed_images": SettingsEntry(
        """Within the networks pixels are in [-1, 1]: the generator ends in tanh, and the discriminator is given 2 x -
        1, whose mean is nearer to 0; noise on its input is then half as strong as beside [0, 1]. Outside, images are in
        [0, 1] whatever it says. Costs a pass over the images. Radford et al. 2016, section 4.""",
        ("model.image_range",), {"model.image_range": "unit"}),
    "generator_batch_norm": SettingsEntry(
        """Batch norm behind the generator's hidden layers, (y - mean) / sqrt(variance + 1e-6) + shift over a batch of
        generated images: without it a deep generator collapses to one image early on. Samples come in batches of the
        training size too. Costs two passes over the activations. Ioffe & Szegedy 2015; Radford et al. 2016, section
        3.""",
        ("model.generator", "model.generator_norm", "model.generator_norm_gain"), {"model.generator_norm": "none"},
        {"model.generator_norm": "batch"}),
    "generator_virtual_batch_norm": SettingsEntry(
        """Virtual batch norm in the generator: mean and variance are those of a reference batch of latent vectors,
        drawn once and kept, its classes in turn, which goes through the generator with every pass. An image does not
        depend on its batch. Costs model.reference_images more a pass. Salimans et al. 2016, section 3.5.""",
        ("model.generator_norm", "model.reference_images", "model.reference_itself", "model.generator_norm_gain"),
        {"model.generator_norm": "batch"}, {"model.generator_norm": "virtual"}),
    "generator_spectral_norm": SettingsEntry(
        """Spectral norm in the generator: W / sigma with sigma = u W v, as in the discriminator, before its batch norm,
        without which it comes to make one image; that norm takes a layer's scale away again, so that what is left is
        how far a step turns the weights. Costs two products of a matrix and a vector a layer. Zhang et al. 2019,
        section 4.""",
        ("model.generator_norm",), {"model.generator_norm": "batch"}, {"model.generator_norm": "spectral"}),
    "generator_weight_norm": SettingsEntry(
        """Weight norm in the generator's hidden layers, W = g v / |v| row by row with a trained g and a bias, and no
        batch norm behind them: an image does not depend on its batch. Costs a norm of each row an update. Salimans &
        Kingma 2016, equation 2; in generators Xiang & Li 2017.""",
        ("model.generator_norm",), {"model.generator_norm": "batch"}, {"model.generator_norm": "weight"}),
    "latent_uniform": SettingsEntry(
        """The generator's latent vector z is uniform, 0 <= z < 1, in each of its numbers, which are bounded and all
        positive, and near each other none is rarer than another; without it they are normal (White 2016). Its mean of
        one half is in every image: dense layers' batch norm takes it out unit by unit, that of a convolutional
        generator, over whole maps, does not, and its images stay alike (cifar10: a standard deviation of 0.01 over
        images after 60 to 240 steps, 0.11 with normal ones); there take normal ones. Costs a draw a number. The code of
        Salimans et al. 2016.""",
        ("model.latent", "model.latent_kind"), {"model.latent_kind": "normal"}),
    "latent_noise": SettingsEntry(
        """Gaussian noise on the generator's latent vector, z + s e with e normal, in training and when images are
        sampled: near vectors then make near images, and a uniform one has no edge. Costs a draw a number. Bishop
        1995, of noise on any input.""",
        ("model.latent_noise",), {"model.latent_noise": 0}),
    "averaging": SettingsEntry(
        """Classified and sampled is with averaged weights, m = (1 - a) m + a w after every update, divided by 1 - (1 -
        a)^t or from zero as the authors have it: the last weights circle round what they near. Costs a copy of the
        weights, and a pass over them an update. Polyak & Juditsky 1992; Kingma & Ba 2015, section 7.2.""",
        ("train.averaging_rate", "train.averaging"), {"train.averaging_rate": 1}),
    "averaged_opponent": SettingsEntry(
        """The generator learns against the discriminator's averaged weights: feature matching and the adversarial
        terms, and what else its loss asks of the discriminator, see the average m = (1 - a) m + a w in the place of the
        last w, which swings from step to step. The average has to be corrected for its start. Costs a copy of the
        discriminator's weights an update, and under spectral norm 15 steps of the power method. Ge et al. 2018, who let
        each player learn against the mean of the other's past.""",
        ("train.generator_against",), {"train.generator_against": "last"}),
    "two_time_scales": SettingsEntry(
        """The generator has a learning rate of its own, most often a lower one, b < a of the discriminator, so that the
        discriminator is near its best answer all the time: a = 4e-4 and b = 1e-4 in Zhang et al. 2019, section 4. Costs
        nothing. Heusel et al. 2017, theorem 1.""",
        ("train.generator_learning_rate", "train.learning_rate"), {"train.generator_learning_rate": 0}),
    "several_updates": SettingsEntry(
        """A step updates a player more than once, each time with new images and noise: k updates of the discriminator,
        w = w - rate dL(w, new images)/dw for i = 1 to k, keep it near its best answer. Costs the time of so many
        updates. Goodfellow et al. 2014, algorithm 1.""",
        ("train.discriminator_updates", "train.generator_updates"),
        {"train.discriminator_updates": 1, "train.generator_updates": 1}),
    "gradient_clipping": SettingsEntry(
        """A gradient g that is longer than c is shortened to it, g c / |g|, over all of a network: one steep place does
        not throw the weights away. Costs a pass over the gradient. Pascanu et al. 2013, algorithm 1.""",
        ("train.clip",), {"train.clip": 0}),
    "authors_adam": SettingsEntry(
        """Adam with its epsilon inside the root, w - rate m / sqrt(v + epsilon): its floor is sqrt(epsilon), and
        gradients below it move weights by their size, not by their sign. Costs nothing. Adam is of Kingma & Ba 2015,
        this form of the code of Salimans et al. 2016.""",
        ("train.adam", "train.epsilon", "train.beta2"), {"train.adam": "standard"}),
    "low_momentum": SettingsEntry(
        """Adam's mean of gradients forgets fast, m = beta1 m + (1 - beta1) g with beta1 0.5 in the place of 0.9: the
        other player moves, and what was downhill two steps ago may be so no more. Costs nothing. Radford et al. 2016,
        section 4.""",
        ("train.beta1",), {"train.beta1": 0.9}),
    "learning_rate_decay": SettingsEntry(
        """The learning rate falls to zero by a line or half a cosine, rate (1 + cos(pi s)) / 2 for the share s of the
        decay that lies behind: two players come to rest that would circle. Costs nothing. The code of Salimans et al.
        2016; Loshchilov & Hutter 2017, equation 5.""",
        ("train.schedule", "train.decay_from"), {"train.schedule": "constant"}),
}
